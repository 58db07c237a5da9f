// Laws against each other: `isoloss fit compare`, and the `compare` of a spec's fit entries.
#pragma once
#include <stdio.h>

#include "fitting/fitting.h"

// A comparison in words and a table, for people.
void comparison_print(const struct comparison *comparison, FILE *out);
