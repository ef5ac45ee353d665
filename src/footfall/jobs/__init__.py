"""What behavior's runs execute: entry points, one a file. They fetch, call modeling, put and report; no maths, no SQL."""
