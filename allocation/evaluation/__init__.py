"""What a policy is worth, estimated from users whom it never saw."""
