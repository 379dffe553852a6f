def self_consistent(*a): raise RuntimeError
