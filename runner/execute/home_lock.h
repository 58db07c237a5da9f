// The lock of a home: who holds it alone writes the runs of its store (`isoloss run`, `rm`, `gc`).
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/base.h"

// Takes the lock, with the home made where it is missing. Somebody else's is an error that says who has it, or with
// `wait` waited for as long as it takes, which `messages` (NULL: nobody) is told. The descriptor, whose close gives the
// lock back; -1 on error.
int home_lock(const char *home, bool wait, FILE *messages, struct error *error);
// Who holds the lock of this home: its process, or 0 when nobody does.
int64_t home_lock_holder(const char *home);
