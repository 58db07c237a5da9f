// Measuring representations; see capacity.h.
#include "kernels/formats/capacity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/formats/grid.h"
#include "kernels/formats/quantize.h"
#include "kernels/formats/sparsity.h"

enum { OCTAVE = 8 };

bool distribution_parse(const char *text, enum distribution *distribution, double *degrees, struct error *error) {
  *degrees = 0;
  if (strcmp(text, "normal") == 0 || strcmp(text, "gaussian") == 0)
    *distribution = DISTRIBUTION_NORMAL;
  else if (strcmp(text, "laplace") == 0)
    *distribution = DISTRIBUTION_LAPLACE;
  else if (strcmp(text, "logistic") == 0)
    *distribution = DISTRIBUTION_LOGISTIC;
  else if (starts_with(text, "student-t:")) {
    *distribution = DISTRIBUTION_STUDENT_T;
    if (!number_parse(text + 10, degrees) || !(*degrees > 2))
      return error_set(error, EXIT_USAGE_ERROR,
                       "'%s': student-t takes its degrees of freedom, above 2 so that there is a "
                       "variance, as student-t:5",
                       text);
  } else {
    return error_set(error, EXIT_USAGE_ERROR,
                     "'%s' is no distribution (there are: normal, laplace, logistic, student-t:NU)", text);
  }
  return true;
}

// Whether the mean over all scales is what has to be reported.
static bool depends_on_octave(const struct representation *representation) {
  enum scale_type type = representation->scale.type;
  return representation->grid.kind != GRID_NONE && representation->scale.rule != SCALE_STATIC &&
         type >= SCALE_POWER_FLOOR && type <= SCALE_POWER_EVEN;
}

static bool closed_form(const struct representation *representation, double *gmse) {
  const struct grid *grid = &representation->grid;
  const struct scale *scale = &representation->scale;
  const struct sparsity *sparsity = &representation->sparsity;
  if (grid->kind == GRID_NOISE) {
    *gmse = grid->variance;
    return sparsity->kind == SPARSITY_NONE;
  }
  if (grid->kind == GRID_NONE) return sparsity_gaussian_error(sparsity, NULL, 1, gmse);
  if (!grid_is_scalar(grid) || representation->rounding != ROUND_NEAREST || scale->type != SCALE_FLOAT ||
      scale->unit == SCALE_PER_GROUP || scale->rule == SCALE_ABSMAX)
    return false;
  // A row's or tensor's root mean square is 1, a learned scale the best one.
  double factor = scale->rule == SCALE_LEARNED ? grid_gaussian_scale(grid) : scale->factor;
  return sparsity_gaussian_error(sparsity, grid, factor, gmse);
}

// ---- measurement ----

struct chunk_sums {
  double error, square, product;  // of (x - q)^2, x^2, x q
};

// What a thread works in, for a chunk of rows x columns.
struct workspace {
  float *x, *y, *scratch, *row_absmax;
  double *row_squares;
};

struct measurement {
  const struct capacity_options *options;
  const struct quantizer *quantizer;
  const struct format_level *level;
  int64_t rows, columns, chunks;
  bool octave;
  double learned;
  struct chunk_sums *sums;       // [chunks]
  struct workspace *workspaces;  // one a thread
};

static void draw(const struct measurement *m, int64_t chunk, float *x) {
  const struct capacity_options *options = m->options;
  int64_t count = m->rows * m->columns;
  double deviation = m->octave ? exp2((double)(chunk % OCTAVE) / OCTAVE) : 1;
  for (int64_t i = 0; i < count; i += 2) {
    double pair[2];
    uint64_t index = (uint64_t)(i / 2);
    if (options->distribution == DISTRIBUTION_NORMAL) {
      random_normal_pair(options->seed, RANDOM_STREAM_MONTE_CARLO, (uint64_t)chunk, index, pair);
    } else {
      uint32_t words[4];
      random_words(options->seed, RANDOM_STREAM_MONTE_CARLO, (uint64_t)chunk, index, words);
      double u = ((double)words[0] + 0.5) * 0x1p-32, v = ((double)words[1] + 0.5) * 0x1p-32;
      switch (options->distribution) {
        case DISTRIBUTION_LAPLACE:
          pair[0] = (u < 0.5 ? log(2 * u) : -log(2 * (1 - u))) * M_SQRT1_2;
          pair[1] = (v < 0.5 ? log(2 * v) : -log(2 * (1 - v))) * M_SQRT1_2;
          break;
        case DISTRIBUTION_LOGISTIC: {
          const double unit = 0.55132889542179204;  // sqrt(3) / pi
          pair[0] = unit * log(u / (1 - u));
          pair[1] = unit * log(v / (1 - v));
          break;
        }
        default: {
          // Bailey 1994: a polar method for Student's t. Two draws take two pairs of uniforms.
          double w[2] = {((double)words[2] + 0.5) * 0x1p-32, ((double)words[3] + 0.5) * 0x1p-32};
          double nu = options->degrees, unit = sqrt((nu - 2) / nu);
          pair[0] = unit * sqrt(nu * (pow(u, -2 / nu) - 1)) * cos(2 * M_PI * v);
          pair[1] = unit * sqrt(nu * (pow(w[0], -2 / nu) - 1)) * cos(2 * M_PI * w[1]);
        }
      }
    }
    x[i] = (float)(deviation * pair[0]);
    x[i + 1] = (float)(deviation * pair[1]);
  }
}

// What the passes have to know of the whole matrix.
static struct tensor_statistics measure_tensor(const struct measurement *m, const struct workspace *space) {
  const struct quantizer *q = m->quantizer;
  struct tensor_statistics statistics = {.learned = (float)m->learned, .pruned = q->pruned, .last_tie = -1};
  if (quantizer_needs_absmax(q) || quantizer_needs_rms(q)) {
    struct statistics_call call = {.quantizer = q,
                                   .from = space->x,
                                   .from_dtype = DTYPE_FLOAT32,
                                   .row_absmax = space->row_absmax,
                                   .row_squares = space->row_squares,
                                   .scratch = space->scratch};
    m->level->statistics(&call, 0, m->rows, 0);
    double squares = 0;
    for (int64_t row = 0; row < m->rows; row++) {
      squares += space->row_squares[row];
      statistics.absmax = fmaxf(statistics.absmax, space->row_absmax[row]);
    }
    statistics.rms = (float)sqrt(squares / (double)(m->rows * m->columns));
  }
  if (quantizer_needs_selection(q)) {
    int64_t count = m->rows * m->columns, keep = count - llround((double)q->pruned * (double)count);
    struct float_span span = {space->x, count};
    struct selection selection = select_largest(&span, 1, keep);
    statistics.threshold = selection.threshold;
    statistics.last_tie = selection.last_tie;
    statistics.band = sparsity_blocked_band(&q->pattern, (double)selection.threshold, (double)statistics.rms);
  }
  return statistics;
}

static void measure_chunk(void *context, size_t chunk, int thread) {
  const struct measurement *m = context;
  const struct workspace *space = &m->workspaces[thread];
  const float *x = space->x, *y = space->y;
  draw(m, (int64_t)chunk, space->x);
  struct tensor_statistics statistics = measure_tensor(m, space);
  struct quantize_call call = {.quantizer = m->quantizer,
                               .statistics = &statistics,
                               .from_dtype = DTYPE_FLOAT32,
                               .to_dtype = DTYPE_FLOAT32,
                               .rows = m->rows,
                               .from = x,
                               .to = space->y,
                               .place = {m->options->seed, (uint64_t)chunk, 0, 0},
                               .scratch = space->scratch};
  m->level->quantize(&call, 0, m->rows, 0);
  if (m->quantizer->hadamard_block > 1) {  // compare where the data came from
    struct transform_call back = {.columns = m->columns,
                                  .block = m->quantizer->hadamard_block,
                                  .from = y,
                                  .to = space->y,
                                  .scratch = space->scratch};
    m->level->inverse(&back, 0, m->rows, 0);
  }
  struct chunk_sums sums = {0};
  for (int64_t row = 0; row < m->rows; row++) {
    double error = 0, square = 0, product = 0;
    for (int64_t i = row * m->columns; i < (row + 1) * m->columns; i++) {
      double value = (double)x[i], difference = value - (double)y[i];
      error += difference * difference;
      square += value * value;
      product += value * (double)y[i];
    }
    sums.error += error;
    sums.square += square;
    sums.product += product;
  }
  m->sums[chunk] = sums;
}

// Ratio of sums over chunks first, first + step, ... and its standard error, from how the chunks scatter around it.
static double ratio(const struct chunk_sums *sums, int64_t chunks, int64_t first, int64_t step,
                    double *standard_error) {
  double error = 0, square = 0, scatter = 0;
  int64_t count = 0;
  for (int64_t i = first; i < chunks; i += step, count++) {
    error += sums[i].error;
    square += sums[i].square;
  }
  double result = error / square;
  for (int64_t i = first; i < chunks; i += step) {
    double left = sums[i].error - result * sums[i].square;
    scatter += left * left;
  }
  *standard_error = count > 1 ? sqrt(scatter * (double)count / (double)(count - 1)) / square : NAN;
  return result;
}

static void measure_chunks(struct measurement *m, struct arena *arena) {
  int threads = m->options->threads < 1 ? 1 : threads_wanted(m->options->threads);
  size_t rows = (size_t)m->rows, count = rows * (size_t)m->columns;
  m->workspaces = arena_array(arena, (size_t)threads, sizeof *m->workspaces);
  for (int i = 0; i < threads && i < m->chunks; i++)
    m->workspaces[i] =
        (struct workspace){.x = arena_array(arena, count, sizeof(float)),
                           .y = arena_array(arena, count, sizeof(float)),
                           .scratch = arena_array(arena, (size_t)quantize_scratch(m->columns), sizeof(float)),
                           .row_absmax = arena_array(arena, rows, sizeof(float)),
                           .row_squares = arena_array(arena, rows, sizeof(double))};
  threads_each((size_t)m->chunks, threads, measure_chunk, m);
}

// From the sums of all chunks.
static void summarize(const struct measurement *m, struct capacity *capacity) {
  if (m->octave) {
    double sum = 0, variance = 0;
    capacity->octave = true;
    capacity->octave_low = INFINITY;
    for (int64_t t = 0; t < OCTAVE; t++) {
      double standard_error, gmse = ratio(m->sums, m->chunks, t, OCTAVE, &standard_error);
      sum += gmse / OCTAVE;
      variance += standard_error * standard_error / (OCTAVE * OCTAVE);
      capacity->octave_low = fmin(capacity->octave_low, gmse);
      capacity->octave_high = fmax(capacity->octave_high, gmse);
      if (t == 0) capacity->at_unit_deviation = gmse;
    }
    capacity->gmse = sum;
    capacity->standard_error = sqrt(variance);
  } else {
    capacity->gmse = ratio(m->sums, m->chunks, 0, 1, &capacity->standard_error);
  }
  // Chunks are alike in size: the mean of their ratios is the mean over groups.
  double alignment = 0;
  for (int64_t chunk = 0; chunk < m->chunks; chunk++)
    alignment += m->sums[chunk].product / m->sums[chunk].square / (double)m->chunks;
  capacity->misalignment = 1 - alignment;
  capacity->effective_bits = -log(capacity->gmse) / log(4);
  capacity->samples = m->chunks * m->rows * m->columns;
}

bool capacity_measure(const struct representation *representation, const struct capacity_options *options,
                      struct capacity *capacity, struct error *error) {
  *capacity = (struct capacity){.misalignment = NAN};
  if (options->distribution == DISTRIBUTION_NORMAL && !options->measure &&
      closed_form(representation, &capacity->gmse)) {
    capacity->closed_form = true;
    capacity->effective_bits = -log(capacity->gmse) / log(4);
    return true;
  }
  struct representation measured = *representation;
  // Of a random transform the fixed one has the same statistics.
  measured.hadamard.kind =
      options->hadamard && measured.hadamard.kind != HADAMARD_NONE ? HADAMARD_FIXED : HADAMARD_NONE;
  if (options->hadamard && quantizer_needs_selection(&(struct quantizer){.sparsity = measured.sparsity.kind,
                                                                         .scope = measured.sparsity.scope}))
    measured.sparsity.scope = SCOPE_ROW;  // thresholds of a whole matrix are taken before its transform here
  int64_t columns = options->columns > 0 ? options->columns : 4096;
  if (columns % 2 || columns > 65536)
    return error_set(error, EXIT_USAGE_ERROR, "a row has an even number of columns, at most 65536");
  int64_t rows = CAPACITY_CHUNK / columns > 0 ? CAPACITY_CHUNK / columns : 1;
  int64_t samples = options->samples > 0 ? options->samples : 1 << 24;
  struct arena arena = {0};
  struct quantizer quantizer;
  bool done = false;
  struct measurement m = {.options = options,
                          .quantizer = &quantizer,
                          .level = format_level_find(options->isa),
                          .rows = rows,
                          .columns = columns,
                          .chunks = (samples + rows * columns - 1) / (rows * columns),
                          .octave = depends_on_octave(representation)};
  int64_t least = m.octave ? 2 * OCTAVE : 8;  // chunks that a standard error takes
  if (m.chunks < least) m.chunks = least;
  if (m.octave) m.chunks = (m.chunks + OCTAVE - 1) / OCTAVE * OCTAVE;
  if (representation->scale.rule == SCALE_LEARNED) m.learned = grid_gaussian_scale(&representation->grid);
  if (!quantizer_make(&quantizer, &measured, columns, &arena, error)) goto end;
  m.sums = arena_array(&arena, (size_t)m.chunks, sizeof *m.sums);
  measure_chunks(&m, &arena);
  summarize(&m, capacity);
  done = true;
end:
  arena_free(&arena);
  return done;
}
