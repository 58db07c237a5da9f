// See sparkline.h.
#include "runner/terminal/sparkline.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { HEIGHTS = 8 };

bool terminal_is_ascii(void) {
  static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    const char *value = getenv(names[i]);
    if (value && *value) return !strcasestr(value, "utf-8") && !strcasestr(value, "utf8");
  }
  return false;  // nothing says so
}

void sparkline_add(struct text *out, const double *values, size_t count, bool ascii) {
  static const char *const blocks[HEIGHTS] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  static const char *const plain[HEIGHTS] = {"_", ".", ":", "-", "=", "+", "*", "#"};
  double low = INFINITY, high = -INFINITY;
  for (size_t i = 0; i < count; i++) {
    if (!isfinite(values[i])) continue;
    low = fmin(low, values[i]);
    high = fmax(high, values[i]);
  }
  for (size_t i = 0; i < count; i++) {
    if (!isfinite(values[i])) {
      text_char(out, ' ');
      continue;
    }
    int height = high > low ? (int)((values[i] - low) / (high - low) * (HEIGHTS - 1) + 0.5) : HEIGHTS / 2 - 1;
    text_add(out, (ascii ? plain : blocks)[height]);
  }
}
