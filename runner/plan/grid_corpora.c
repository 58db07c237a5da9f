// The corpora of a grid, each looked up once. See grid.h.
#include <string.h>

#include "runner/plan/grid.h"

bool grid_corpus_field(const struct run_field *field) { return field->groups & GROUP_PREPARED; }

static bool same_corpus(const struct run_config *a, const struct run_config *b) {
  for (size_t i = 0; i < run_field_count; i++)
    if (grid_corpus_field(&run_fields[i]) && !value_equal(field_get(a, &run_fields[i]), field_get(b, &run_fields[i])))
      return false;
  return true;
}

static uint64_t corpus_hash(const struct run_config *config) {
  uint64_t hash = 0;
  for (size_t i = 0; i < run_field_count; i++) {
    const struct run_field *field = &run_fields[i];
    if (!grid_corpus_field(field)) continue;
    struct value value = field_get(config, field);
    hash = value.kind == VALUE_TEXT ? hash64(value.text, strlen(value.text), hash)
                                    : hash64(&value.number, sizeof value.number, hash);
  }
  return hash;
}

static void table_put(struct run_grid *grid, uint32_t index) {
  size_t slot = corpus_hash(&grid->corpora[index].config) & (grid->corpus_table_size - 1);
  while (grid->corpus_table[slot]) slot = (slot + 1) & (grid->corpus_table_size - 1);
  grid->corpus_table[slot] = index + 1;
}

bool grid_corpus_find(struct run_grid *grid, const struct run_config *config, uint32_t *index, struct error *error) {
  if (!grid->corpus_varies && grid->corpus_count) {
    *index = 0;
    return true;
  }
  if (grid->corpus_table_size) {
    size_t slot = corpus_hash(config) & (grid->corpus_table_size - 1);
    for (; grid->corpus_table[slot]; slot = (slot + 1) & (grid->corpus_table_size - 1)) {
      *index = grid->corpus_table[slot] - 1;
      if (same_corpus(&grid->corpora[*index].config, config)) return true;
    }
  }
  if (grid->corpus_count == grid->corpus_capacity) {
    size_t capacity = grid->corpus_capacity ? grid->corpus_capacity * 2 : 4;
    grid->corpora = arena_grow(grid->arena, grid->corpora, grid->corpus_count, capacity, sizeof *grid->corpora);
    grid->corpus_capacity = capacity;
    grid->corpus_table_size = capacity * 2;
    grid->corpus_table = arena_array(grid->arena, grid->corpus_table_size, sizeof *grid->corpus_table);
    for (uint32_t i = 0; i < grid->corpus_count; i++) table_put(grid, i);
  }
  struct plan_corpus *corpus = &grid->corpora[grid->corpus_count];
  *corpus = (struct plan_corpus){.config = *config, .folder = "", .reason = "the corpus is not prepared"};
  struct error own = {0};
  if (grid->find_corpus && !grid->find_corpus(grid->find_context, config, corpus, &own)) {
    if (own.code != EXIT_USAGE_ERROR) {
      error_take(error, &own);
      return false;
    }
    corpus->refused = true;
    corpus->reason = arena_string(grid->arena, own.text);
    memcpy(corpus->about, own.about, sizeof corpus->about);
  }
  *index = (uint32_t)grid->corpus_count++;
  table_put(grid, *index);
  return true;
}

bool grid_corpus(struct run_grid *grid, const struct run_config *config, uint32_t *index, struct error *error) {
  if (!grid_corpus_find(grid, config, index, error)) return false;
  const struct plan_corpus *corpus = &grid->corpora[*index];
  if (!corpus->refused) return true;
  error_set(error, EXIT_USAGE_ERROR, "%s", corpus->reason);
  memcpy(error->about, corpus->about, sizeof corpus->about);
  return false;
}
