//! Nothing: this package only has a benchmark.
