"""Deciding, on arrays alone: the problem, its upper hull, and the solution for a budget."""
