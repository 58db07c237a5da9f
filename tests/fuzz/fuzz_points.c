// Fuzz target: any text as points of --at, as a list of formats, as the columns of --map. Each is refused with a
// message, or read into something whole.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/fitting.h"
#include "tests/fuzz/fuzz.h"

static void try_points(const char *text) {
  struct table table;
  struct error error = {0};
  const char *texts[] = {text, "N=1e6,format=w4a4"};
  if (points_parse(&table, texts, 2, &error)) {
    if (!table.row_count || table.row_count > POINT_LIMIT) abort();
    for (size_t c = 0; c < table.column_count; c++)
      for (size_t row = 0; row < table.row_count; row++) {
        struct value value = table_value(&table, c, row);
        if (value.kind == VALUE_TEXT ? !value.text : value.kind == VALUE_NUMBER && !isfinite(value.number)) abort();
      }
  } else if (error.code != EXIT_USAGE_ERROR || !*error.text) {
    abort();
  }
  table_free(&table);
}

static void try_lists(const char *text) {
  struct arena arena = {0};
  struct error error = {0};
  const char **items;
  size_t count;
  if (list_split(&arena, text, &items, &count, &error)) {
    for (size_t i = 0; i < count; i++)
      if (!*items[i]) abort();
  } else if (!error.code) {
    abort();
  }
  struct column_map *maps;
  error = (struct error){0};
  if (column_maps_parse(&arena, text, &maps, &count, &error)) {
    for (size_t i = 0; i < count; i++)
      if (!*maps[i].name || !*maps[i].original) abort();
  } else if (!error.code) {
    abort();
  }
  arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  char *text = fuzz_text(bytes, length);
  try_points(text);
  try_lists(text);
  free(text);
  return 0;
}
