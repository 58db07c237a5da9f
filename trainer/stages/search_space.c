// See search_space.h.
#include "trainer/stages/search_space.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool about(struct error *error, const char *field) { return error_about(error, field, NULL); }

// ---- modules ----

static const char *const matrix_names[] = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
                                           "self_attn.o_proj", "mlp.gate_proj",    "mlp.up_proj",
                                           "mlp.down_proj"};
enum { MATRICES_OF_BLOCK = sizeof matrix_names / sizeof *matrix_names };

static void add(struct layer_space *s, struct search_module module) {
  for (int i = 0; i < module.piece_count; i++) module.count += module.pieces[i].rows * module.pieces[i].inputs;
  s->modules[s->count++] = module;
}

// Each matrix by itself; those of as many weights are a group.
static void add_matrices(const struct run_config *c, struct layer_space *s, int64_t layer) {
  const int64_t queries = c->model.heads * c->model.head_dim, keys = c->model.kv_heads * c->model.head_dim;
  const int64_t width = c->model.width, hidden = c->model.mlp_width;
  const struct module_piece pieces[MATRICES_OF_BLOCK] = {
      {MATRIX_QKV, 0, queries, width},    {MATRIX_QKV, queries, keys, width}, {MATRIX_QKV, queries + keys, keys, width},
      {MATRIX_OUTPUT, 0, width, queries}, {MATRIX_GATE_UP, 0, hidden, width}, {MATRIX_GATE_UP, hidden, hidden, width},
      {MATRIX_DOWN, 0, width, hidden}};
  for (int i = 0; i < MATRICES_OF_BLOCK; i++)
    add(s, (struct search_module){
               .layer = layer, .name = matrix_names[i], .part = i, .pieces = {pieces[i]}, .piece_count = 1});
}

static void add_halves(const struct run_config *c, struct layer_space *s, int64_t layer) {
  const int64_t queries = c->model.heads * c->model.head_dim, keys = c->model.kv_heads * c->model.head_dim;
  const int64_t width = c->model.width, hidden = c->model.mlp_width;
  add(s,
      (struct search_module){.layer = layer,
                             .name = "self_attn",
                             .pieces = {{MATRIX_QKV, 0, queries + 2 * keys, width}, {MATRIX_OUTPUT, 0, width, queries}},
                             .piece_count = 2});
  add(s, (struct search_module){.layer = layer,
                                .name = "mlp",
                                .part = 1,
                                .pieces = {{MATRIX_GATE_UP, 0, 2 * hidden, width}, {MATRIX_DOWN, 0, width, hidden}},
                                .piece_count = 2});
}

static void make_groups(struct layer_space *s) {
  for (int m = 0; m < s->count; m++) {
    int like = 0;
    while (like < m && s->modules[like].count != s->modules[m].count) like++;
    s->modules[m].group = like < m ? s->modules[like].group : s->groups++;
  }
}

// ---- levels ----

int layer_space_bits(const struct run_config *c, int level) { return (int)c->search.least_bits + level; }

// The steps above the budget's that are below 1.
static int sparser(const struct run_config *c) {
  int steps = 0;
  while (steps < c->search.sparsity_steps && c->search.sparsity + (steps + 1) * c->search.sparsity_step < 1 - 1e-9)
    steps++;
  return steps;
}

static int denser(const struct run_config *c) {
  int steps = 0;
  while (steps < c->search.sparsity_steps && c->search.sparsity - (steps + 1) * c->search.sparsity_step > -1e-9)
    steps++;
  return steps;
}

double layer_space_sparsity(const struct run_config *c, int level) {
  return fmax(0, c->search.sparsity + (sparser(c) - level) * c->search.sparsity_step);
}

static int levels_of(const struct run_config *c, const struct layer_space *s, int module) {
  struct search_units u = search_units(c);
  switch (s->kind) {
    case SEARCH_BITS:
      return (int)(c->search.most_bits - c->search.least_bits) + 1;
    case SEARCH_SPARSITY:
      return sparser(c) + denser(c) + 1;
    default:
      return 1 + (int)(s->modules[module].part ? u.mlp_levels : u.attention_levels);
  }
}

static int64_t units_of(const struct run_config *c, const struct layer_space *s, int group) {
  struct search_units u = search_units(c);
  int64_t members = 0;
  for (int m = 0; m < s->count; m++) members += s->group[m] == group;
  switch (s->kind) {
    case SEARCH_BITS:
      return (int64_t)floor((double)members * (c->search.bits - (double)c->search.least_bits) + 1e-9);
    case SEARCH_SPARSITY:
      return members * sparser(c);
    default:
      return group ? u.mlp : u.attention;
  }
}

// ---- what cannot be ----

static bool check_bits(const struct run_config *c, struct error *error) {
  if (isnan(c->search.bits))
    return error_set(error, EXIT_USAGE_ERROR, "search needs bits: the bits a weight of all matrices together, as 3") ||
           about(error, "search.bits");
  if (c->search.most_bits <= c->search.least_bits)
    return error_set(error, EXIT_USAGE_ERROR, "search.most_bits %lld leaves no choice: least_bits is %lld",
                     (long long)c->search.most_bits, (long long)c->search.least_bits) ||
           about(error, "search.most_bits");
  if (c->search.bits < (double)c->search.least_bits || c->search.bits > (double)c->search.most_bits)
    return error_set(error, EXIT_USAGE_ERROR, "search.bits %g is not between least_bits %lld and most_bits %lld",
                     c->search.bits, (long long)c->search.least_bits, (long long)c->search.most_bits) ||
           about(error, "search.bits");
  return true;
}

static bool check_sparsity(const struct run_config *c, struct error *error) {
  if (isnan(c->search.sparsity))
    return error_set(error, EXIT_USAGE_ERROR, "search needs sparsity: the share of zeroes of all matrices together") ||
           about(error, "search.sparsity");
  if (sparser(c) && denser(c)) return true;
  return error_set(error, EXIT_USAGE_ERROR,
                   "search.sparsity %g with steps of %g leaves no level on either side of it: take a smaller "
                   "sparsity_step",
                   c->search.sparsity, c->search.sparsity_step) ||
         error_about(error, "search.sparsity", "search.sparsity_step", NULL);
}

static bool check_keep(const struct run_config *c, struct error *error) {
  if (isnan(c->search.keep))
    return error_set(error, EXIT_USAGE_ERROR, "search needs keep: the share that stays, as 0.75") ||
           about(error, "search.keep");
  struct search_units u = search_units(c);
  if (u.attention < 1 || u.mlp < 1)
    return error_set(error, EXIT_USAGE_ERROR, "search.keep %g leaves no %s of the model", c->search.keep,
                     u.attention < 1 ? "attention" : "MLP") ||
           about(error, "search.keep");
  if (search_reads_columns(c) && c->model.mlp_width % c->search.column_levels)
    return error_set(error, EXIT_USAGE_ERROR, "search.column_levels %lld does not divide model.mlp_width %lld",
                     (long long)c->search.column_levels, (long long)c->model.mlp_width) ||
           about(error, "search.column_levels");
  return true;
}

bool layer_space_make(const struct run_config *c, struct arena *arena, struct layer_space *s, struct error *error) {
  *s = (struct layer_space){.kind = search_space_of(c)};
  bool removes = search_removes(c);
  if (!(removes ? check_keep(c, error) : s->kind == SEARCH_SPARSITY ? check_sparsity(c, error) : check_bits(c, error)))
    return false;
  s->per_block = removes ? 2 : MATRICES_OF_BLOCK;
  s->modules = arena_array(arena, (size_t)(c->model.layers * s->per_block), sizeof *s->modules);
  for (int64_t layer = 0; layer < c->model.layers; layer++) {
    if (removes)
      add_halves(c, s, layer);
    else
      add_matrices(c, s, layer);
  }
  if (removes) {
    for (int m = 0; m < s->count; m++) s->modules[m].group = s->modules[m].part;
    s->groups = 2;
  } else {
    make_groups(s);
  }
  s->levels = arena_array(arena, (size_t)s->count, sizeof *s->levels);
  s->group = arena_array(arena, (size_t)s->count, sizeof *s->group);
  s->units = arena_array(arena, (size_t)s->groups, sizeof *s->units);
  for (int m = 0; m < s->count; m++) {
    s->levels[m] = levels_of(c, s, m);
    s->group[m] = s->modules[m].group;
  }
  for (int g = 0; g < s->groups; g++) s->units[g] = units_of(c, s, g);
  s->space = (struct search_space){s->count, s->levels, s->group};
  return true;
}

bool layer_space_settings(const struct run_config *c, int level, struct arena *arena,
                          struct compress_settings *settings, struct error *error) {
  const struct compress_method *method = compress_method_find(c->search.compressor, NULL);
  if (!method) return error_set(error, EXIT_USAGE_ERROR, "search.compressor %s is no method", c->search.compressor);
  bool bits = search_space_of(c) == SEARCH_BITS;
  if (bits ? !compress_allocates(method) : !method->prunes || method->trains)
    return error_set(error, EXIT_USAGE_ERROR, "search.compressor %s brings no matrix to %s: take %s", method->name,
                     bits ? "a number of bits" : "a share of zeroes",
                     bits ? "rtn, gptq, babai or higgs" : "magnitude or sparsegpt") ||
           about(error, "search.compressor");
  compress_default(settings, method);
  settings->damping = c->search.damping;
  if (bits && compress_method_reads(method, "group")) settings->group = c->search.group;
  if (!bits) settings->sparsity = layer_space_sparsity(c, level);
  if (bits && !compress_set_bits(settings, layer_space_bits(c, level)))
    return error_set(error, EXIT_USAGE_ERROR, "%s has no option of %d bits: take others of least_bits and most_bits",
                     method->name, layer_space_bits(c, level)) ||
           error_about(error, "search.least_bits", "search.most_bits", NULL);
  if (compress_resolve(settings, arena, error)) return true;
  return error_about(error, "search.group", "search.compressor", NULL);
}

// ---- how many choices ----

double layer_space_choices(const struct layer_space *s) {
  double all = 1;
  for (int g = 0; g < s->groups; g++) {
    const int64_t units = s->units[g];
    double *ways = memory_get((size_t)(units + 1) * sizeof *ways);
    ways[0] = 1;
    for (int m = 0; m < s->count; m++) {
      if (s->group[m] != g) continue;
      for (int64_t u = units; u >= 0; u--) {
        double sum = 0;
        for (int level = 0; level < s->levels[m] && level <= u; level++) sum += ways[u - level];
        ways[u] = sum;
      }
    }
    all *= ways[units];
    free(ways);
  }
  return all;
}

// ---- rounds ----

bool search_rounds_read(const char *text, struct arena *arena, struct search_round **rounds, int *count,
                        struct error *error) {
  const char *at = text;
  *rounds = arena_array(arena, strlen(text) / 3 + 1, sizeof **rounds);
  *count = 0;
  while (*at) {
    char *end;
    long long tokens = strtoll(at, &end, 10), kept = 0;
    bool fine = *at >= '0' && *at <= '9' && end - at < 16 && *end == ':' && end[1] >= '0' && end[1] <= '9';
    if (fine) {
      at = end + 1;
      kept = strtoll(at, &end, 10);
      fine = end - at < 8 && (*end == ' ' || *end == '\0');
    }
    if (!fine)
      return error_set(error, EXIT_USAGE_ERROR,
                       "search.rounds must be TOKENS:KEPT of each round, as '2048:4 16384:1', not '%.60s'", text) ||
             about(error, "search.rounds");
    (*rounds)[(*count)++] = (struct search_round){.tokens = tokens, .kept = (int)kept};
    for (at = end; *at == ' ';) at++;
  }
  return true;
}
