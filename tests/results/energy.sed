# A run says one thing more, `energy`: its line in columns.c, and its column in schema.sql.
s/^    {"peak_memory",/    {"energy", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_COUNT, "J", "of the whole training", .events = {{"done", "energy"}}},\n&/
s/^  peak_memory REAL,/  energy REAL,\n&/
