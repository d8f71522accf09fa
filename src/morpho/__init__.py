"""morpho: vision models small enough for the edge and sturdy enough for the open world."""
