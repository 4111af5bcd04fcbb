"""From features and a budget to decisions: `TwoStage`, and the baselines that any policy must beat."""
