"""Steps of training, held against each other: what every tensor becomes, each step from the same state."""
