"""The instrument: captures networks as traces, judges them layer by layer, and says what it found."""
