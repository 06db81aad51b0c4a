"""The reference decoder: reads every encoding, tolerates what writers get wrong, and explains what becomes of each element."""
