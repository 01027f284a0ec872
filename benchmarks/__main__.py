"""`python -m benchmarks` is what `make bench` runs."""

from benchmarks.bench import main

main()
