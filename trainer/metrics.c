// What kind of solution a training is at: spectra of weights and activations, what few directions hold of gradients,
// how far a step moves, what a format's noise leaves of a gradient. docs/metrics.md says what each number means. Means
// are over the blocks' matrices. All of it is calculated on the host, of copies: the training has the same bits
// without.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/terminal.h"
#include "kernels/bfloat16.h"
#include "trainer/element.h"
#include "trainer/layout.h"
#include "trainer/spectrum.h"
#include "trainer/training.h"

// What is known of the activations that go into one of a layer's matrices.
struct inputs {
  int64_t rows, count;  // tokens, and elements of one
  double *squares;      // [count, count]: sum of x x^T
  double sum, second, third, fourth, largest;
  int64_t zeros;
};
struct seeing {
  struct model *model;
  int64_t layer;
  struct inputs inputs[MATRIX_HEAD];
  struct activation_means {
    double stable_rank, effective_rank, kurtosis, outlier, zeros;
    int matrices;
  } means;
  struct error error;
};

struct metrics {
  float *before, *gradients;  // of all parameters
  double gradient_norm, noise;
};

bool metrics_are_due(const struct training *t, int64_t step) {
  int64_t every = t->file.config.metrics.every;
  return every > 0 && (step == 1 || step % every == 0 || step == t->steps);
}

static double norm_of(const float *x, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; i++) sum += (double)x[i] * x[i];
  return sqrt(sum);
}

// The parameters as float32, in the table's order.
static float *read_parameters(struct model *m, struct error *error) {
  int64_t count = m->table.count, norms = m->table.norms_end;
  float *values = memory_get((size_t)count * sizeof *values);
  bool fine = m->ops->download(m->device, values, m->parameters, (size_t)norms * sizeof *values, error);
  const void *rest = model_parameter(m, norms);
  if (fine && m->master == DTYPE_FLOAT32) {
    fine = m->ops->download(m->device, values + norms, rest, (size_t)(count - norms) * sizeof *values, error);
  } else if (fine) {
    uint16_t *narrow = memory_get((size_t)(count - norms) * sizeof *narrow);
    fine = m->ops->download(m->device, narrow, rest, (size_t)(count - norms) * sizeof *narrow, error);
    for (int64_t i = 0; i < count - norms && fine; i++) values[norms + i] = bfloat16_value(narrow[i]);
    free(narrow);
  }
  if (fine) return values;
  free(values);
  return NULL;
}

// The step's gradients, before clipping. first_row keys a format's random rounding: another one draws anew.
static float *read_gradients(struct model *m, const struct token_batch *batch, int64_t targets, int64_t first_row,
                             struct error *error) {
  for (int64_t row = 0; row < batch->rows; row += m->rows) {
    struct token_batch micro = {m->rows, batch->tokens + row, batch->targets + row,
                                batch->mask ? batch->mask + row : NULL};
    model_gradient(m, &micro, 1 / (double)targets, first_row + row, row == 0, MODEL_STEP_SLOT);
  }
  model_finish_gradients(m);
  float *gradients = memory_get((size_t)m->table.count * sizeof *gradients);
  if (m->ops->download(m->device, gradients, m->gradients, (size_t)m->table.count * sizeof *gradients, error))
    return gradients;
  free(gradients);
  return NULL;
}

static void metrics_free(struct metrics *m) {
  if (!m) return;
  free(m->before), free(m->gradients), free(m);
}

bool metrics_before(struct training *t, const struct token_batch *batch, int64_t targets, struct metrics **made,
                    struct error *error) {
  struct model *model = t->model;
  struct metrics *m = memory_get(sizeof *m);
  double began = training_seconds(t);
  m->before = read_parameters(model, error);
  m->gradients = m->before ? read_gradients(model, batch, targets, 0, error) : NULL;
  bool fine = m->gradients != NULL;
  if (fine) m->gradient_norm = norm_of(m->gradients, model->table.count);
  if (fine && model->config.parsed_format) {
    float *again = read_gradients(model, batch, targets, batch->rows, error);
    fine = again != NULL;
    for (int64_t i = 0; i < model->table.count && fine; i++) again[i] -= m->gradients[i];
    if (fine) m->noise = norm_of(again, model->table.count) / sqrt(2);
    free(again);
  }
  t->seconds_outside += training_seconds(t) - began;
  if (fine) {
    *made = m;
    return true;
  }
  metrics_free(m);
  return false;
}

// ---- activations ----

// Takes what was seen of a layer into the means.
static void finish_layer(struct seeing *s) {
  for (int which = 0; which < MATRIX_HEAD && !s->error.code; which++) {
    struct inputs *in = &s->inputs[which];
    if (!in->rows) continue;
    double n = (double)(in->rows * in->count), mean = in->sum / n, square = in->second / n;
    double variance = square - mean * mean;
    double fourth = in->fourth / n - 4 * mean * in->third / n + 6 * mean * mean * square - 3 * pow(mean, 4);
    struct spectrum spectrum;
    if (!spectrum_of_squares(in->count, in->squares, 1, &spectrum, &s->error)) return;
    s->means.stable_rank += spectrum.stable_rank;
    s->means.effective_rank += spectrum.effective_rank;
    s->means.kurtosis += variance > 0 ? fourth / (variance * variance) : 0;
    s->means.outlier += square > 0 ? in->largest / sqrt(square) : 0;
    s->means.zeros += (double)in->zeros / n;
    s->means.matrices++;
    double *squares = in->squares;
    memset(squares, 0, (size_t)(in->count * in->count) * sizeof *squares);
    *in = (struct inputs){.count = in->count, .squares = squares};
  }
}

static void see(void *context, int64_t layer, int matrix, int64_t rows, const void *x) {
  struct seeing *s = context;
  struct model *m = s->model;
  if (s->error.code) return;
  if (layer != s->layer) finish_layer(s);
  s->layer = layer;
  struct inputs *in = &s->inputs[matrix];
  if (!in->squares) {
    in->count = layout_weight(&m->config, (enum model_matrix)matrix, layer).inputs;
    in->squares = memory_get((size_t)(in->count * in->count) * sizeof *in->squares);
  }
  size_t bytes = (size_t)(rows * in->count) * dtype_bytes(m->dtype);
  void *host = memory_get(bytes);
  double *line = memory_get((size_t)in->count * sizeof *line);
  if (m->ops->download(m->device, host, x, bytes, &s->error))
    for (int64_t row = 0; row < rows; row++) {
      for (int64_t i = 0; i < in->count; i++) {
        int64_t at = row * in->count + i;
        double v = element_value(host, m->dtype, at);
        line[i] = v;
        in->sum += v;
        in->second += v * v;
        in->third += v * v * v;
        in->fourth += v * v * v * v;
        in->largest = fmax(in->largest, fabs(v));
        in->zeros += v == 0;
      }
      for (int64_t i = 0; i < in->count; i++)
        for (int64_t j = 0; j < in->count; j++) in->squares[i * in->count + j] += line[i] * line[j];
    }
  in->rows += rows;
  free(host), free(line);
}

// Of the step's first tokens, as many as an evaluation takes at a time and at most 1024 or one sequence, through the
// model after the step.
static bool see_activations(struct training *t, const struct token_batch *batch, struct activation_means *means,
                            struct error *error) {
  struct model *m = t->model;
  int64_t context = m->config.model.context, most = context > 1024 ? context : 1024;
  int64_t rows = batch->rows < m->evaluation_rows ? batch->rows : m->evaluation_rows;
  if (rows > most) rows = most / context * context;
  struct seeing s = {.model = m};
  const struct model_observer observer = {&s, see}, *before = m->observer;
  m->observer = &observer;
  bool fine = model_forward(m, rows, batch->tokens, error);
  m->observer = before;
  if (fine) finish_layer(&s);
  for (int which = 0; which < MATRIX_HEAD; which++) free(s.inputs[which].squares);
  *means = s.means;
  if (fine && s.error.code) *error = s.error;
  return fine && !s.error.code;
}

// ---- weights and gradients ----

struct matrix_means {
  double stable_rank, effective_rank, update, svd, dct, random;
  int matrices;
};

static bool see_matrices(struct training *t, const struct metrics *m, const float *after, struct matrix_means *means,
                         struct error *error) {
  const struct parameter_table *table = &t->model->table;
  int64_t rank = t->file.config.metrics.rank;
  *means = (struct matrix_means){0};
  for (int i = 0; i < table->tensor_count; i++) {
    const struct parameter_tensor *of = &table->tensors[i];
    if (of->offset < table->norms_end || of->offset >= table->matrices_end) continue;
    const float *w = after + of->offset, *was = m->before + of->offset, *g = m->gradients + of->offset;
    struct spectrum weights, gradient;
    double moved = 0, random = 0, norm = norm_of(was, of->count);
    for (int64_t k = 0; k < of->count; k++) moved += ((double)w[k] - was[k]) * ((double)w[k] - was[k]);
    if (!spectrum_of(of->rows, of->columns, w, rank, &weights, error) ||
        !spectrum_of(of->rows, of->columns, g, rank, &gradient, error) ||
        !spectrum_random_share(of->rows, of->columns, g, rank, (uint64_t)i, &random, error))
      return false;
    means->stable_rank += weights.stable_rank;
    means->effective_rank += weights.effective_rank;
    means->update += norm > 0 ? sqrt(moved) / norm : 0;
    means->svd += gradient.largest_share;
    means->dct += spectrum_dct_share(of->rows, of->columns, g, rank);
    means->random += random;
    means->matrices++;
  }
  return true;
}

static bool report(struct training *t, const struct metrics *m, const struct matrix_means *w,
                   const struct activation_means *a, struct error *error) {
  struct json_writer *json = report_metrics_begin(t);
  double stall = m->noise > 0 ? m->gradient_norm / (sqrt(3) * m->noise) : NAN;
  json_key_number(json, "weight_stable_rank", w->stable_rank / w->matrices);
  json_key_number(json, "weight_effective_rank", w->effective_rank / w->matrices);
  json_key_number(json, "update_ratio", w->update / w->matrices);
  json_key_number(json, "activation_stable_rank", a->stable_rank / a->matrices);
  json_key_number(json, "activation_effective_rank", a->effective_rank / a->matrices);
  json_key_number(json, "activation_kurtosis", a->kurtosis / a->matrices);
  json_key_number(json, "activation_outlier", a->outlier / a->matrices);
  json_key_number(json, "activation_zero_fraction", a->zeros / a->matrices);
  json_key_integer(json, "rank", t->file.config.metrics.rank);
  json_key_number(json, "gradient_energy_svd", w->svd / w->matrices);
  json_key_number(json, "gradient_energy_dct", w->dct / w->matrices);
  json_key_number(json, "gradient_energy_random", w->random / w->matrices);
  json_key_number(json, "gradient_norm", m->gradient_norm);
  if (m->noise > 0) json_key_number(json, "quantization_noise", m->noise);
  if (m->noise > 0) json_key_number(json, "gradient_over_noise", stall);
  if (stall < 1 && !t->stalling_said)
    notice_print(
        "isoloss-train",
        "step %lld: the gradient's norm is %.2g of sqrt(3) times the noise of format %s: the training is about "
        "to stall",
        (long long)t->done.step, stall, t->file.config.format);
  if (stall < 1) t->stalling_said = true;
  return event_end(&t->log, error);
}

bool metrics_after(struct training *t, const struct token_batch *batch, struct metrics *m, struct error *error) {
  if (!m) return true;
  struct matrix_means matrices;
  struct activation_means activations;
  double began = training_seconds(t);
  float *after = read_parameters(t->model, error);
  bool finite = true;
  for (int64_t i = 0; after && i < t->model->table.count && finite; i++)
    finite = isfinite(after[i]) && isfinite(m->gradients[i]);
  // A training that diverges is reported as such by what looks at its losses.
  bool fine = after && (!finite || (see_matrices(t, m, after, &matrices, error) &&
                                    see_activations(t, batch, &activations, error) &&
                                    report(t, m, &matrices, &activations, error)));
  t->seconds_outside += training_seconds(t) - began;
  free(after);
  metrics_free(m);
  return fine;
}
