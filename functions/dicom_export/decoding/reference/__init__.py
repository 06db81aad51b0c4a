"""The reference decoder: it reads every encoding, tolerates mistakes of writers, and explains the fate of each element."""
