// A curve in one line of text.
#pragma once
#include "base/base.h"

// Appends `count` values as so many characters, from the lowest value to the highest in eight heights: block elements,
// or with `ascii` ". : -" and the like. What is no finite number is a blank; where all are equal they are of the middle
// height.
void sparkline_add(struct text *out, const double *values, size_t count, bool ascii);
// Whether the environment says that the terminal shows no UTF-8 (LC_ALL, LC_CTYPE, LANG: the first that is set).
bool terminal_is_ascii(void);
