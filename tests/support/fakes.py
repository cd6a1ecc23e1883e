from testing.fakes import *  # noqa: F403
