"""`python -m retrieval.cli`, for `torchrun`."""

from retrieval.cli import main

main()
