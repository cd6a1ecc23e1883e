"""What the manager does with dead letters: each verb acts on a few of them, for operations and for single requests alike."""
