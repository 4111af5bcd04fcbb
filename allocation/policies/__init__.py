"""From features and a budget to decisions: `TwoStage`, `EndToEnd`, and the baselines that any policy must beat."""
