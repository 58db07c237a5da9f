// See search_database.h.
#include "trainer/stages/search_database.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/compress/structure.h"
#include "trainer/stages/allocate.h"
#include "trainer/stages/calibration.h"
#include "trainer/stages/kept.h"

struct module_level *database_level(const struct search_database *d, int module, int level) {
  return &d->levels[d->first_level[module] + level];
}

float *database_values(const struct search_database *d, int module, int level) {
  return d->values + d->first_value[module] + level * d->space->modules[module].count;
}

int64_t module_piece_offset(const struct model_values *values, const struct search_module *module, int piece) {
  const struct module_piece *p = &module->pieces[piece];
  return layout_weight_offset(&values->table, p->matrix, module->layer) + p->row * p->inputs;
}

void database_put(const struct search_database *d, int module, int level, struct model_values *values) {
  const struct search_module *m = &d->space->modules[module];
  const float *from = database_values(d, module, level);
  for (int i = 0; i < m->piece_count; i++) {
    const int64_t count = m->pieces[i].rows * m->pieces[i].inputs;
    memcpy(values->values + module_piece_offset(values, m, i), from, (size_t)count * sizeof *from);
    from += count;
  }
}

// ---- making it ----

struct making {
  struct stage_work *work;
  struct search_database *database;
  const struct model_values *values;
  struct calibration calibration;
};

static bool stopped(struct stage_work *work) {
  work->stopped = work->stop_asked && *work->stop_asked;
  return work->stopped;
}

// A matrix of bits or zeroes at all its levels.
static bool make_matrix(struct making *m, int module, struct error *error) {
  struct search_database *d = m->database;
  const struct run_config *c = &m->work->run.file.config;
  const struct search_module *of = &d->space->modules[module];
  const struct module_piece *piece = &of->pieces[0];
  struct compress_layer matrix = {.outputs = piece->rows,
                                  .inputs = piece->inputs,
                                  .weights = m->values->values + module_piece_offset(m->values, of, 0),
                                  .seed = (uint64_t)c->seed,
                                  .number = (uint32_t)module};
  if (m->calibration.count) matrix.hessian = calibration_hessian(&m->calibration, of->layer, (int)piece->matrix);
  for (int level = 0; level < d->space->levels[module]; level++) {
    struct arena arena = {0};
    struct compress_settings settings;
    struct compress_result result = {.represented = database_values(d, module, level)};
    bool fine = !stopped(m->work) && layer_space_settings(c, level, &arena, &settings, error) &&
                compress_matrix(&settings, &matrix, &result, error);
    if (fine)
      *database_level(d, module, level) =
          (struct module_level){.error = result.relative_error,
                                .counted = allocation_error(&settings, &matrix, &result),
                                .output_error = result.output_error,
                                .weighted_error = result.weighted_error,
                                .bound = result.bound,
                                .bits = result.bits_per_weight,
                                .sparsity = result.sparsity};
    arena_free(&arena);
    if (!fine) return !error->code || error_context(error, "%s of layer %lld", of->name, (long long)of->layer);
  }
  return true;
}

// The module as it is, without the rows and columns of what is gone: of an attention those of a key and value head with
// its query heads, of an MLP a column; its last piece is the updated matrix [width, inputs].
static void put_structure(const struct run_config *c, const struct making *m, const struct search_module *of,
                          const struct structure *r, float *out) {
  const struct module_piece *first = &of->pieces[0], *last = &of->pieces[1];
  const float *before = m->values->values + module_piece_offset(m->values, of, 0);
  const int64_t head = c->model.head_dim, shared = c->model.heads / c->model.kv_heads, width = first->inputs;
  const int64_t queries = c->model.heads * head, keys = c->model.kv_heads * head;
  for (int64_t row = 0; row < first->rows; row++) {
    int64_t set = of->part               ? row % c->model.mlp_width
                  : row < queries        ? row / (head * shared)
                  : row < queries + keys ? (row - queries) / head
                                         : (row - queries - keys) / head;
    if (structure_is_gone(r, set))
      memset(out + row * width, 0, (size_t)width * sizeof *out);
    else
      memcpy(out + row * width, before + row * width, (size_t)width * sizeof *out);
  }
  const double *w = structure_weights(r);
  float *matrix = out + first->rows * width;
  for (int64_t i = 0; i < last->rows * last->inputs; i++) matrix[i] = (float)w[i];
}

static double share_of_zeroes(const float *values, int64_t count) {
  int64_t zeroes = 0;
  for (int64_t i = 0; i < count; i++) zeroes += values[i] == 0;
  return (double)zeroes / (double)count;
}

// tr(D H D^T) / tr(W H W^T) of the matrix now against the one before; H as measured.
static double output_error_of(const double *now, const float *before, const float *h, int64_t outputs, int64_t inputs) {
  double error = 0, all = 0, *d = memory_get((size_t)inputs * sizeof *d);
  for (int64_t o = 0; o < outputs; o++) {
    for (int64_t j = 0; j < inputs; j++) d[j] = now[o * inputs + j] - (double)before[o * inputs + j];
    for (int64_t i = 0; i < inputs; i++) {
      double dh = 0, wh = 0;
      for (int64_t j = 0; j < inputs; j++) {
        dh += d[j] * (double)h[i * inputs + j];
        wh += (double)before[o * inputs + j] * (double)h[i * inputs + j];
      }
      error += d[i] * dh;
      all += (double)before[o * inputs + i] * wh;
    }
  }
  free(d);
  return all > 0 ? error / all : NAN;
}

// An attention or an MLP from all of it down to nothing: heads, or columns one by one, the least important first.
static bool make_structure(struct making *m, int module, struct error *error) {
  struct search_database *d = m->database;
  const struct run_config *c = &m->work->run.file.config;
  const struct search_module *of = &d->space->modules[module];
  const struct module_piece *last = &of->pieces[1];
  const float *weights = m->values->values + module_piece_offset(m->values, of, 1);
  const float *hessian = calibration_hessian(&m->calibration, of->layer, (int)last->matrix);
  const int levels = d->space->levels[module];
  const int64_t unit = of->part ? 1 : last->inputs / c->model.kv_heads, sets = last->inputs / unit;
  const int64_t per_level = sets / (levels - 1);
  struct structure *r = structure_begin(weights, hessian, last->rows, last->inputs, unit, c->search.damping, error);
  bool fine = r != NULL;
  for (int level = levels - 1; level >= 0 && fine; level--) {
    float *out = database_values(d, module, level);
    for (int64_t i = 0; i < per_level && level < levels - 1 && fine; i++)
      fine = !stopped(m->work) && structure_step(r, NULL, error) >= 0;
    if (!fine) break;
    put_structure(c, m, of, r, out);
    double output = output_error_of(structure_weights(r), weights, hessian, last->rows, last->inputs);
    *database_level(d, module, level) = (struct module_level){.error = output,
                                                              .counted = output,
                                                              .output_error = output,
                                                              .weighted_error = NAN,
                                                              .bound = NAN,
                                                              .bits = NAN,
                                                              .sparsity = share_of_zeroes(out, of->count)};
  }
  structure_free(r);
  return fine || !error->code || error_context(error, "%s of layer %lld", of->name, (long long)of->layer);
}

// Gone, or as it is.
static void make_half(struct making *m, int module) {
  struct search_database *d = m->database;
  const struct search_module *of = &d->space->modules[module];
  float *out = database_values(d, module, 1);
  for (int i = 0; i < of->piece_count; i++) {
    const int64_t count = of->pieces[i].rows * of->pieces[i].inputs;
    memcpy(out, m->values->values + module_piece_offset(m->values, of, i), (size_t)count * sizeof *out);
    out += count;
  }
  for (int level = 0; level < 2; level++)
    *database_level(d, module, level) = (struct module_level){
        1 - level, 1 - level, NAN, NAN, NAN, NAN, share_of_zeroes(database_values(d, module, level), of->count)};
}

static bool make(void *context, struct error *error) {
  struct making *m = context;
  const struct run_config *c = &m->work->run.file.config;
  const struct layer_space *space = m->database->space;
  if (c->search.calibration_tokens > 0 &&
      !calibrate(m->work, m->values, c->search.calibration_tokens, CALIBRATE_ALL, &m->calibration, error))
    return false;
  bool fine = true;
  for (int i = 0; i < space->count && fine; i++) {
    if (space->kind == SEARCH_DROP)
      make_half(m, i);
    else
      fine = space->kind == SEARCH_STRUCTURE ? make_structure(m, i, error) : make_matrix(m, i, error);
    fine = fine && !m->work->stopped;
  }
  return fine;
}

// Everything that the levels depend on beside the parent's model.
static struct digest key_of(struct stage_work *work, const struct layer_space *space, const struct model_values *values,
                            struct error *error) {
  const struct run_config *c = &work->run.file.config;
  struct arena arena = {0};
  struct text text = {0};
  text_format(&text, "levels %d\n", config_version(c));
  kept_key_of_model(work, values, &text);
  text_format(&text, "%d %d %" PRId64 " %" PRId64 " %.17g\n", (int)space->kind, space->count,
              c->search.calibration_tokens, c->seed, search_reads_damping(c) ? c->search.damping : 0);
  for (int level = 0; level < space->levels[0] && !search_removes(c); level++) {
    struct compress_settings settings;
    if (layer_space_settings(c, level, &arena, &settings, error))
      text_format(&text, "%s\n", compress_canonical(&settings, &arena));
  }
  for (int i = 0; i < space->count && search_removes(c); i++) text_format(&text, "%d ", space->levels[i]);
  struct digest key = digest_bytes(text.bytes, text.length);
  text_free(&text);
  arena_free(&arena);
  return key;
}

bool database_open(struct stage_work *work, const struct layer_space *space, const struct model_values *values,
                   struct search_database *d, struct error *error) {
  struct making making = {.work = work, .database = d, .values = values};
  int64_t levels = 0, count = 0;
  *d = (struct search_database){.space = space};
  d->first_level = memory_get((size_t)space->count * sizeof *d->first_level);
  d->first_value = memory_get((size_t)space->count * sizeof *d->first_value);
  for (int i = 0; i < space->count; i++) {
    d->first_level[i] = levels;
    d->first_value[i] = count;
    levels += space->levels[i];
    count += space->levels[i] * space->modules[i].count;
  }
  const size_t head = (size_t)levels * sizeof *d->levels, size = head + (size_t)count * sizeof *d->values;
  d->memory = memory_get(size);
  d->levels = d->memory;
  d->values = (float *)(void *)((char *)d->memory + head);
  const struct kept_numbers kept = {.folder = "levels",
                                    .magic = {'i', 's', 'o', 'l', 'e', 'v', 'l', '1'},
                                    .key = key_of(work, space, values, error),
                                    .bytes = d->memory,
                                    .size = size,
                                    .count = (uint64_t)levels,
                                    .make = make,
                                    .context = &making};
  bool fine = !error->code && kept_get(work, &kept, error);
  calibration_free(&making.calibration);
  return fine;
}

void database_free(struct search_database *d) {
  free(d->memory);
  free(d->first_level);
  free(d->first_value);
  *d = (struct search_database){0};
}
