// See chain_ends.h.
#include "runner/fits/chain_ends.h"

#include <string.h>

bool names_stage(const struct expression *condition) {
  for (int i = 0; condition && i < condition->name_count; i++)
    if (strcmp(condition->names[i].name, "stage") == 0) return true;
  return false;
}

void mark_chain_ends(const struct spec *spec, const struct table *table, bool *ends) {
  int column = table_find(table, "stage");
  const struct table_column *named = column < 0 ? NULL : &table->columns[column];
  for (size_t row = 0; row < table->row_count; row++) {
    int code = named && named->kind == COLUMN_CATEGORY ? named->codes[row] : -1;
    const struct stage *stage = code < 0 ? NULL : stage_find(named->categories[code]);
    ends[row] = !spec->stage_count || spec_chain_ends(spec, stage ? stage->name : NULL);
  }
}

bool tell_stages(const struct table *table, struct text *out) {
  enum { MOST = 16 };
  size_t counts[MOST] = {0}, several = 0;
  int column = table_find(table, "stage");
  if (column < 0 || table->columns[column].kind != COLUMN_CATEGORY) return false;
  const struct table_column *named = &table->columns[column];
  for (size_t row = 0; row < table->row_count; row++)
    if (named->codes[row] >= 0 && named->codes[row] < MOST) several += counts[named->codes[row]]++ == 0;
  if (several < 2) return false;
  text_format(out, "rows of %zu stages are in one fit:", several);
  bool first = true;
  for (int i = 0; i < named->category_count && i < MOST; i++) {
    if (!counts[i]) continue;
    text_format(out, "%s %s %zu", first ? "" : ",", named->categories[i], counts[i]);
    first = false;
  }
  text_add(out, "; a condition on stage, or a law with a category of compression or compress.format, tells them apart");
  return true;
}
