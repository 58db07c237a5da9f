// See halved.h.
#include "runner/execute/halved.h"

bool halved_words(struct store *store, const char *experiment, struct arena *arena, size_t *count, const char **words,
                  struct error *error) {
  struct store_rows *rows = store_halved(store, experiment, error);
  struct text text = {0};
  size_t shares = 0;
  *count = 0;
  *words = NULL;
  while (rows && store_rows_next(rows, error)) {
    size_t here = (size_t)store_rows_value(rows, 1).number;
    text_format(&text, "%s%zu at %.6g%s", shares ? ", " : "", here, store_rows_value(rows, 0).number,
                shares ? "" : " of their steps");
    shares++;
    *count += here;
  }
  store_rows_close(rows);
  if (*count)
    *words = arena_format(arena, "%zu run%s stopped by halving (%s)", *count, *count == 1 ? " was" : "s were",
                          text_string(&text));
  text_free(&text);
  return !error->code;
}

const char *halved_reason(const struct store_rows *row, const char *state, struct arena *arena) {
  struct value share = store_rows_get(row, "halved_at");
  return share.kind == VALUE_NUMBER ? arena_format(arena, "stopped by halving at %.6g of its steps", share.number)
                                    : state;
}
