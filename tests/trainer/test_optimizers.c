// trainer/optimizers: the table beside the table of run fields, what a spec may say, whole steps of a model against
// double precision, and the bytes of the state.
#include <gsl/gsl_fft_complex.h>
#include <math.h>
#include <string.h>

#include "kernels/fast_dct.h"
#include "tests/trainer/exact_matrices.h"
#include "tests/trainer/fixture.h"
#include "trainer/layout.h"
#include "trainer/optimizers/steps.h"

static struct arena arena;

// Every name of the field is an optimizer, and every setting a field that is auto by default and takes what auto means.
static void the_table_and_the_fields_agree(void) {
  struct error error = {0};
  size_t count, known = 0;
  const char **names = text_split(&arena, field_find("train.optimizer", NULL)->choices, "|", &count);
  while (optimizers[known]) known++;
  CHECK(count == known);
  for (size_t i = 0; i < count && i < known; i++) {
    CHECK_TEXT(names[i], optimizers[i]->name);
    struct run_config c = fixture_config(&arena, arena_format(&arena, "train.optimizer=%s", names[i]));
    CHECK(optimizer_of(&c) == optimizers[i] && optimizer_unresolved(&c) == NULL);
    for (int s = 0; s < OPTIMIZER_SETTINGS && optimizers[i]->settings[s].path; s++) {
      const struct optimizer_setting *setting = &optimizers[i]->settings[s];
      const struct run_field *field = field_find(setting->path, NULL);
      if (!CHECK(field != NULL)) continue;
      struct value value;
      CHECK_TEXT(field->fallback, "auto");
      // What came later counts where it is not what was done before.
      CHECK(field->effect == EFFECT_COUNTS && optimizer_reads(&c, field));
      CHECK(!field->counts_when || (strcmp(field->path, "train.dct") == 0 && !field->counts_when(&c)));
      CHECK(field_read(field, setting->fallback, &arena, &value, &error) && value_equal(field_get(&c, field), value));
      if (setting->low != 0 || setting->high != 0) {
        CHECK(setting->low >= field->low && setting->high <= field->high);
        CHECK(value.number >= setting->low && value.number <= setting->high);
      }
    }
  }
}

static bool resolves(const char *pairs, struct error *error) {
  struct run_config config;
  struct corpus_facts facts = {0};
  config_default(&config);
  char *copy = arena_string(&arena, pairs);
  for (char *save, *pair = strtok_r(copy, " ", &save); pair; pair = strtok_r(NULL, " ", &save)) {
    char *equals = strchr(pair, '=');
    *equals = '\0';
    CHECK(config_set(&config, field_find(pair, NULL), equals + 1, &arena, error));
  }
  return config_resolve(&config, &facts, "float32", error);
}

// Of every optimizer, every field that another one reads and it does not: set, even to what it is to the other, it is
// an error about that field.
static void what_is_not_read_is_refused(void) {
  int refused = 0;
  for (size_t i = 0; optimizers[i]; i++)
    for (size_t other = 0; optimizers[other]; other++)
      for (int s = 0; s < OPTIMIZER_SETTINGS && optimizers[other]->settings[s].path; s++) {
        const struct optimizer_setting *setting = &optimizers[other]->settings[s];
        struct error error = {0};
        const char *pairs =
            arena_format(&arena, "train.optimizer=%s %s=%s", optimizers[i]->name, setting->path, setting->fallback);
        struct run_config c = fixture_config(&arena, arena_format(&arena, "train.optimizer=%s", optimizers[i]->name));
        if (optimizer_reads(&c, field_find(setting->path, NULL))) {
          CHECK(resolves(pairs, &error));
          continue;
        }
        refused++;
        CHECK(!resolves(pairs, &error) && error.code == EXIT_USAGE_ERROR && strcmp(error.about[0], setting->path) == 0);
        CHECK(strstr(error.text, optimizers[i]->name) && strstr(error.text, optimizers[other]->name));
      }
  CHECK(refused > 4);
}

static const char *canonical(const char *pairs) {
  struct text text = {0};
  struct run_config c = fixture_config(&arena, pairs);
  config_canonical(&c, &text);
  const char *made = arena_string(&arena, text_string(&text));
  text_free(&text);
  return made;
}

// Defaults written out are the same run; what is not read does not count; what is read does.
static void identities(void) {
  CHECK_TEXT(canonical("train.beta1=0.9 train.beta2=0.95 train.adam_eps=1e-8"), canonical("train.optimizer=adamw"));
  CHECK(strstr(canonical(""),
               "\"train.beta1\":0.9,\"train.beta2\":0.95,\"train.adam_eps\":1e-08,"
               "\"train.weight_decay\":0.1"));
  CHECK(!strstr(canonical(""), "momentum"));
  CHECK(!strstr(canonical("train.optimizer=sgd"), "beta") && !strstr(canonical("train.optimizer=sgd"), "adam_eps"));
  CHECK(strstr(canonical("train.optimizer=sgd"), "\"train.momentum\":0.9,\"train.momentum_form\":\"heavy-ball\""));
  CHECK(strcmp(canonical("train.optimizer=sgd train.momentum_form=nesterov"), canonical("train.optimizer=sgd")) != 0);
  CHECK(strstr(canonical("train.optimizer=lion"), "\"train.beta2\":0.99,"));
  // Runs from before there was a choice keep their ids.
  CHECK_TEXT(canonical("train.optimizer=trion train.dct=product"), canonical("train.optimizer=trion"));
  CHECK(!strstr(canonical("train.optimizer=trion"), "train.dct"));
  CHECK(strstr(canonical("train.optimizer=dct_adamw train.dct=fast"), "\"train.dct\":\"fast\""));
}

// ---- steps ----

#define SMALL "model.layers=2 model.width=32 model.head_dim=16 model.kv_heads=1 model.context=16 model.vocabulary=23 "

// A run's parameters in double precision, moved as its optimizer is written down.
struct exact {
  const struct run_config *config;
  const struct parameter_table *table;
  double *p, *m, *v;
  struct exact_matrix *matrices;  // by number of the tensor
};

static bool decays(const struct exact *e, int64_t i) { return i >= e->table->norms_end && i < e->table->matrices_end; }

static void exact_adamw(struct exact *e, int64_t i, double g, double lr, int64_t step) {
  const struct run_config *c = e->config;
  double b1 = c->train.beta1, b2 = c->train.beta2;
  e->m[i] = b1 * e->m[i] + (1 - b1) * g;
  e->v[i] = b2 * e->v[i] + (1 - b2) * g * g;
  double mean = e->m[i] / (1 - pow(b1, (double)step)), square = e->v[i] / (1 - pow(b2, (double)step));
  e->p[i] -= lr * (decays(e, i) ? c->train.weight_decay : 0) * e->p[i];
  e->p[i] -= lr * mean / (sqrt(square) + c->train.adam_eps);
}

static void exact_elements(struct exact *e, const double *gradient, double lr, int64_t step) {
  const struct run_config *c = e->config;
  for (int64_t i = 0; i < e->table->count; i++) {
    double g = gradient[i], kept = 1 - lr * (decays(e, i) ? c->train.weight_decay : 0);
    if (strcmp(c->train.optimizer, "adamw") == 0) {
      exact_adamw(e, i, g, lr, step);
    } else if (strcmp(c->train.optimizer, "sgd") == 0) {
      bool nesterov = strcmp(c->train.momentum_form, "nesterov") == 0;
      e->m[i] = c->train.momentum * e->m[i] + g;
      e->p[i] = kept * e->p[i] - lr * (nesterov ? g + c->train.momentum * e->m[i] : e->m[i]);
    } else if (strcmp(c->train.optimizer, "lion") == 0) {
      double mixed = c->train.beta1 * e->m[i] + (1 - c->train.beta1) * g;
      e->p[i] = kept * e->p[i] - lr * ((mixed > 0) - (mixed < 0));
      e->m[i] = c->train.beta2 * e->m[i] + (1 - c->train.beta2) * g;
    } else if (!decays(e, i)) {
      exact_adamw(e, i, g, lr * c->train.rest_lr_ratio, step);
    }
  }
}

// d [rows, columns], as kernels/cases has it for single matrices, here as five lines of plain loops.
static void exact_orthogonal(int64_t rows, int64_t columns, int64_t steps, double *d) {
  double norm = 0;
  double *gram = arena_array(&arena, (size_t)(rows * rows), sizeof *gram);
  double *square = arena_array(&arena, (size_t)(rows * rows), sizeof *square);
  double *moved = arena_array(&arena, (size_t)(rows * columns), sizeof *moved);
  for (int64_t i = 0; i < rows * columns; i++) norm += d[i] * d[i];
  for (int64_t i = 0; i < rows * columns; i++) d[i] /= fmax(sqrt(norm), 1e-7);
  for (int64_t step = 0; step < steps; step++) {
    for (int64_t i = 0; i < rows * rows; i++) {
      gram[i] = 0;
      for (int64_t k = 0; k < columns; k++) gram[i] += d[i / rows * columns + k] * d[i % rows * columns + k];
    }
    for (int64_t i = 0; i < rows * rows; i++) {
      square[i] = -4.7750 * gram[i];
      for (int64_t k = 0; k < rows; k++) square[i] += 2.0315 * gram[i / rows * rows + k] * gram[k * rows + i % rows];
    }
    for (int64_t i = 0; i < rows * columns; i++) {
      moved[i] = 3.4445 * d[i];
      for (int64_t k = 0; k < rows; k++) moved[i] += square[i / columns * rows + k] * d[k * columns + i % columns];
    }
    memcpy(d, moved, (size_t)(rows * columns) * sizeof *d);
  }
}

// What is left of d [rows, columns] in its largest directions of the cosine transform.
static void exact_dct(int64_t rows, int64_t columns, int64_t rank, bool squares, double *d) {
  bool wide = rows < columns;
  int64_t n = wide ? rows : columns, lines = wide ? columns : rows;
  int64_t along = wide ? columns : 1, across = wide ? 1 : columns;
  double *part = arena_array(&arena, (size_t)(n * lines), sizeof *part);
  double *score = arena_array(&arena, (size_t)n, sizeof *score), *q = arena_array(&arena, (size_t)(n * n), sizeof *q);
  for (int64_t k = 0; k < n; k++) {
    score[k] = 0;
    for (int64_t i = 0; i < n; i++)
      q[k * n + i] = sqrt((k ? 2 : 1) / (double)n) * cos(acos(-1) * (double)(k * (2 * i + 1)) / (2 * (double)n));
    for (int64_t line = 0; line < lines; line++) {
      double sum = 0;
      for (int64_t i = 0; i < n; i++) sum += q[k * n + i] * d[i * along + line * across];
      part[k * lines + line] = sum;
      score[k] += squares ? sum * sum : fabs(sum);
    }
  }
  memset(d, 0, (size_t)(rows * columns) * sizeof *d);
  for (int64_t kept = 0; kept < rank && kept < n; kept++) {
    int64_t best = 0;
    for (int64_t k = 1; k < n; k++)
      if (score[k] > score[best]) best = k;
    score[best] = -1;
    for (int64_t line = 0; line < lines; line++)
      for (int64_t i = 0; i < n; i++) d[i * along + line * across] += q[best * n + i] * part[best * lines + line];
  }
}

// Muon, NorMuon and Trion; `v` of a matrix's first elements holds the means of its rows.
static void exact_matrix(struct exact *e, const struct parameter_tensor *t, const double *gradient, double lr) {
  const struct run_config *c = e->config;
  double mu = c->train.momentum, before = 0, after = 0;
  double tall = (double)t->rows / (double)t->columns, largest = (double)(t->rows > t->columns ? t->rows : t->columns);
  bool nesterov = strcmp(c->train.momentum_form, "nesterov") == 0,
       original = strcmp(c->train.lr_scale, "original") == 0;
  bool trion = strcmp(c->train.optimizer, "trion") == 0;
  double *d = arena_array(&arena, (size_t)t->count, sizeof *d);
  for (int64_t i = 0; i < t->count; i++) {
    double *m = &e->m[t->offset + i], g = gradient[t->offset + i];
    *m = trion ? *m + g : mu * *m + (1 - mu) * g;
    d[i] = nesterov ? mu * *m + (1 - mu) * g : *m;
  }
  if (trion) exact_dct(t->rows, t->columns, c->train.rank, strcmp(c->train.rank_score, "l2") == 0, d);
  for (int64_t i = 0; i < t->count && trion; i++) e->m[t->offset + i] -= (1 - mu) * d[i];
  exact_orthogonal(t->rows, t->columns, c->train.newton_schulz_steps, d);
  for (int64_t row = 0; row < t->rows && strcmp(c->train.optimizer, "normuon") == 0; row++) {
    double sum = 0, *v = &e->v[t->offset + row];
    for (int64_t i = row * t->columns; i < (row + 1) * t->columns; i++) sum += d[i] * d[i];
    *v = c->train.row_beta2 * *v + (1 - c->train.row_beta2) * sum / (double)t->columns;
    before += sum;
    for (int64_t i = row * t->columns; i < (row + 1) * t->columns; i++) {
      d[i] /= sqrt(*v) + 1e-10;
      after += d[i] * d[i];
    }
  }
  double same_norm = after > 0 ? sqrt(before) / (sqrt(after) + 1e-10) : 1;
  double size = (original ? sqrt(fmax(1, tall)) : 0.2 * sqrt(largest)) * same_norm;
  for (int64_t i = 0; i < t->count; i++) {
    double *p = &e->p[t->offset + i];
    *p = *p - lr * c->train.weight_decay * *p - lr * size * d[i];
  }
}

// Those that keep matrices of state, or few directions of one.
static bool keeps_matrices(const struct run_config *c) {
  static const char *const names[] = {"ldadam", "dct_adamw", "soap", "shampoo"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strcmp(c->train.optimizer, names[i]) == 0) return true;
  return false;
}

static void exact_by_direction(struct exact *e, int tensor, const double *gradient, double lr, int64_t step) {
  const struct run_config *c = e->config;
  const struct parameter_tensor *t = &e->table->tensors[tensor];
  double *d = arena_array(&arena, (size_t)t->count, sizeof *d),
         largest = (double)(t->rows > t->columns ? t->rows : t->columns);
  double tall = (double)t->rows / (double)t->columns;
  if (!exact_direction(&arena, c, &e->matrices[tensor], step, gradient + t->offset, d)) return;
  double size = strcmp(c->train.lr_scale, "auto") == 0       ? 1
                : strcmp(c->train.lr_scale, "original") == 0 ? sqrt(fmax(1, tall))
                                                             : 0.2 * sqrt(largest);
  for (int64_t i = 0; i < t->count; i++) {
    double *p = &e->p[t->offset + i];
    *p = *p - lr * c->train.weight_decay * *p - lr * size * d[i];
  }
}

static void exact_step(struct exact *e, const double *gradient, double lr, int64_t step) {
  exact_elements(e, gradient, lr, step);
  for (int i = 0; i < e->table->tensor_count && optimizer_of(e->config)->by_matrix; i++) {
    if (!decays(e, e->table->tensors[i].offset)) continue;
    if (keeps_matrices(e->config))
      exact_by_direction(e, i, gradient, lr, step);
    else
      exact_matrix(e, &e->table->tensors[i], gradient, lr);
  }
}

static int64_t padded(int64_t words) { return (words + 15) / 16 * 16; }

// By how much the rows of q [n, n] miss being orthonormal, and q mean q^T being diagonal and in order.
static double not_eigenvectors(int64_t n, const double *mean, const double *q) {
  double *half = arena_array(&arena, (size_t)(n * n), sizeof *half), worst = 0;
  double *whole = arena_array(&arena, (size_t)(n * n), sizeof *whole);
  exact_product(n, n, n, false, true, q, q, whole);
  for (int64_t i = 0; i < n * n; i++) worst = fmax(worst, fabs(whole[i] - (i / n == i % n)));
  exact_product(n, n, n, false, false, q, mean, half);
  exact_product(n, n, n, false, true, half, q, whole);
  for (int64_t i = 0; i < n * n; i++)
    if (i / n != i % n) worst = fmax(worst, fabs(whole[i]) / whole[0]);
  for (int64_t i = 1; i < n; i++) worst = fmax(worst, (whole[i * n + i] - whole[(i - 1) * n + i - 1]) / whole[0]);
  return worst;
}

// Eigenvectors of equal eigenvalues are anybody's, and the first matrices have many zeros: SOAP's are taken as they
// are, after a look at whether they are any.
static void take_eigenvectors(struct fixture *f, struct exact *e) {
  struct error error = {0};
  for (int i = 0; i < e->table->tensor_count; i++) {
    const struct parameter_tensor *t = &e->table->tensors[i];
    if (!decays(e, t->offset)) continue;
    struct exact_matrix *x = &e->matrices[i];
    int64_t left = padded(t->rows * t->rows), right = padded(t->columns * t->columns), words = 2 * (left + right);
    float *state = arena_array(&arena, (size_t)words, sizeof *state);
    CHECK(f->ops->download(f->device, state, model_state(f->model, STATE_OF_MATRICES, t->offset),
                           (size_t)words * sizeof *state, &error));
    for (int64_t k = 0; k < t->rows * t->rows; k++) x->left_basis[k] = state[left + right + k];
    for (int64_t k = 0; k < t->columns * t->columns; k++) x->right_basis[k] = state[2 * left + right + k];
    CHECK(not_eigenvectors(t->rows, x->left, x->left_basis) < 1e-5);
    CHECK(not_eigenvectors(t->columns, x->right, x->right_basis) < 1e-5);
  }
}

// Gradients that are the same on both sides, large enough to be clipped at every other step; steps of a schedule.
static void step_against_double(const char *pairs, double tolerance) {
  enum { STEPS = 8 };
  struct error error = {0};
  struct run_config c = fixture_config(&arena, arena_format(&arena, SMALL "%s", pairs));
  struct fixture f = fixture_open(&c, MODEL_TRAIN);
  int64_t count = f.model->table.count;
  float *values = arena_array(&arena, (size_t)count, sizeof *values);
  struct exact e = {&c, &f.model->table, arena_array(&arena, (size_t)count, sizeof(double)),
                    arena_array(&arena, (size_t)count, sizeof(double)),
                    arena_array(&arena, (size_t)count, sizeof(double))};
  double *g = arena_array(&arena, (size_t)count, sizeof *g);
  e.matrices = arena_array(&arena, (size_t)e.table->tensor_count, sizeof *e.matrices);
  for (int i = 0; i < e.table->tensor_count && keeps_matrices(&c); i++)
    exact_matrix_make(&arena, &c, e.table->tensors[i].rows, e.table->tensors[i].columns, &e.matrices[i]);
  model_initialise(f.model, 7);
  CHECK(f.ops->download(f.device, values, f.model->parameters, (size_t)count * sizeof *values, &error));
  for (int64_t i = 0; i < count; i++) e.p[i] = values[i];
  for (int step = 0; step < STEPS; step++) {
    double squares = 0, lr = c.train.lr * (1 - 0.1 * step), scale = step % 2 ? 1e-4 : 1;
    for (int64_t i = 0; i < count; i++) {
      values[i] = (float)(scale * (2 * random_uniform(5, 1002, (uint64_t)step, (uint64_t)i) - 1 + 0.3 * (i % 3)));
      squares += (double)values[i] * values[i];
    }
    double factor = sqrt(squares) > c.train.clip_norm ? c.train.clip_norm / sqrt(squares) : 1;
    CHECK((factor < 1) == (step % 2 == 0));
    for (int64_t i = 0; i < count; i++) g[i] = values[i] * factor;
    f.ops->upload(f.device, f.model->gradients, values, (size_t)count * sizeof *values);
    model_update(f.model, lr, step, 0);
    exact_step(&e, g, lr, step + 1);
    if (step == 0 && strcmp(c.train.optimizer, "soap") == 0) take_eigenvectors(&f, &e);
  }
  double identity = 0;
  for (int i = 0; i < e.table->tensor_count; i++) identity = fmax(identity, e.matrices[i].identity);
  CHECK(identity < 1e-12);
  CHECK(f.ops->download(f.device, values, f.model->parameters, (size_t)count * sizeof *values, &error));
  double worst = 0;
  for (int64_t i = 0; i < count; i++) worst = fmax(worst, fabs(values[i] - e.p[i]));
  // Of one step's size, or of the parameters' rounding.
  if (!CHECK(worst <= tolerance)) printf("# %s: %g\n", pairs, worst);
  printf("# %s: largest difference %.2g\n", pairs, worst);
  fixture_close(&f);
}

static void steps_are_those_of_the_formulas(void) {
  step_against_double("train.optimizer=adamw train.lr=1e-2", 2e-6);
  step_against_double("train.optimizer=sgd train.lr=1", 2e-6);
  step_against_double("train.optimizer=sgd train.lr=1 train.momentum=0.8 train.momentum_form=nesterov", 2e-6);
  step_against_double("train.optimizer=sgd train.lr=1 train.momentum=0", 2e-6);
  step_against_double("train.optimizer=lion train.lr=1e-3 train.weight_decay=1", 2e-6);
  step_against_double("train.optimizer=muon train.lr=1e-2", 2e-5);
  step_against_double(
      "train.optimizer=muon train.lr=1e-2 train.lr_scale=original train.momentum_form=heavy-ball "
      "train.newton_schulz_steps=4 train.rest_lr_ratio=0.3",
      2e-5);
  step_against_double("train.optimizer=normuon train.lr=1e-2", 2e-5);
  step_against_double("train.optimizer=normuon train.lr=1e-2 train.row_beta2=0.5 train.momentum=0.8", 2e-5);
  step_against_double("train.optimizer=trion train.lr=1e-2", 2e-5);
  step_against_double(
      "train.optimizer=trion train.lr=1e-2 train.rank=4 train.rank_score=l2 train.lr_scale=original "
      "train.momentum=0.8",
      2e-5);
}

static void steps_of_directions(void) {
  step_against_double("train.optimizer=ldadam train.lr=1e-2", 2e-5);
  step_against_double("train.optimizer=ldadam train.lr=1e-2 train.rank=4 train.basis_memory=0.5 train.beta1=0.8", 2e-5);
  step_against_double("train.optimizer=ldadam train.lr=1e-2 train.rank=999", 1e-4);
  step_against_double("train.optimizer=ldadam train.lr=1e-2 train.rank=4 train.error_feedback=off", 2e-5);
  step_against_double("train.optimizer=dct_adamw train.lr=1e-2", 2e-5);
  step_against_double(
      "train.optimizer=dct_adamw train.lr=1e-2 train.rank=4 train.rank_score=l2 train.error_feedback=on "
      "train.basis_steps=3 train.rest_lr_ratio=0.5",
      2e-5);
  step_against_double("train.optimizer=soap train.lr=1e-2 train.basis_steps=4", 2e-5);
  step_against_double("train.optimizer=shampoo train.lr=1e-2 train.basis_steps=3", 2e-5);
  step_against_double("train.optimizer=shampoo train.lr=1e-2 train.lr_scale=original train.damping=1e-3", 2e-5);
}

// LDAdam with all directions is AdamW up to a rotation: with the axes for directions it is AdamW to the last bits.
static void ldadam_of_full_rank(void) {
  enum { ROWS = 6, COLUMNS = 9, COUNT = ROWS * COLUMNS };
  struct run_config c = fixture_config(&arena, SMALL "train.optimizer=ldadam train.rank=99");
  struct exact_matrix x;
  double m[COUNT] = {0}, v[COUNT] = {0}, worst = 0;
  exact_matrix_make(&arena, &c, ROWS, COLUMNS, &x);
  x.fixed_basis = true;
  for (int step = 1; step <= 20; step++) {
    double g[COUNT], d[COUNT];
    for (int i = 0; i < COUNT; i++) {
      g[i] = random_uniform(5, 1005, (uint64_t)step, (uint64_t)i) - 0.5;
      m[i] = c.train.beta1 * m[i] + (1 - c.train.beta1) * g[i];
      v[i] = c.train.beta2 * v[i] + (1 - c.train.beta2) * g[i] * g[i];
    }
    CHECK(exact_direction(&arena, &c, &x, step, g, d));
    for (int i = 0; i < COUNT; i++) {
      double want =
          m[i] / (1 - pow(c.train.beta1, step)) / (sqrt(v[i] / (1 - pow(c.train.beta2, step))) + c.train.adam_eps);
      worst = fmax(worst, fabs(d[i] - want));
    }
  }
  CHECK(worst < 1e-12 && x.identity < 1e-12);
}

// ---- bytes ----

// What a plan says, what a model takes, and the formula.
static void state_bytes(void) {
  static const struct {
    const char *pairs;
    double bytes_a_parameter;
  } cases[] = {{"train.optimizer=adamw", 8},
               {"train.optimizer=adamw train.optimizer_state=bfloat16", 4},
               {"train.optimizer=sgd", 4},
               {"train.optimizer=sgd train.optimizer_state=bfloat16", 2},
               {"train.optimizer=sgd train.momentum=0", 0},
               {"train.optimizer=lion", 4},
               {"train.optimizer=lion train.optimizer_state=bfloat16", 2}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct run_config c = fixture_config(&arena, arena_format(&arena, SMALL "%s", cases[i].pairs));
    struct fixture f = fixture_open(&c, MODEL_TRAIN);
    double wanted = cases[i].bytes_a_parameter * (double)config_parameters(&c).total;
    CHECK(f.model->memory.moments == optimizer_state_bytes(&c));
    CHECK((double)f.model->memory.moments >= wanted && (double)f.model->memory.moments < wanted + 2 * 64);
    fixture_close(&f);
  }
  // Matrices of state, by the formulas that docs/optimizers.md has; each piece of one begins at a multiple of 64 bytes.
  static const struct {
    const char *pairs;
    int rank_side, rank_length, full, squares;  // of each, how many
    bool all_m, all_v;
  } kept[] = {{"train.optimizer=ldadam train.rank=4", 1, 2, 1, 0, false, false},
              {"train.optimizer=ldadam train.rank=4 train.error_feedback=off", 1, 2, 0, 0, false, false},
              {"train.optimizer=dct_adamw train.rank=4", 0, 2, 0, 0, false, false},
              {"train.optimizer=dct_adamw train.rank=4 train.error_feedback=on", 0, 2, 1, 0, false, false},
              {"train.optimizer=soap", 0, 0, 0, 2, true, true},
              {"train.optimizer=shampoo", 0, 0, 0, 2, true, false}};
  for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
    struct run_config c = fixture_config(&arena, arena_format(&arena, SMALL "%s", kept[i].pairs));
    struct fixture f = fixture_open(&c, MODEL_TRAIN);
    struct parameter_counts count = config_parameters(&c);
    int64_t rest = count.total - count.prunable, words = 0, matrices = 0;
    int64_t moments = (kept[i].all_m ? count.total : rest) + (kept[i].all_v ? count.total : rest);
    for (int t = 0; t < f.model->table.tensor_count; t++) {
      const struct parameter_tensor *of = &f.model->table.tensors[t];
      if (of->offset < f.model->table.norms_end || of->offset >= f.model->table.matrices_end) continue;
      int64_t side = of->rows < of->columns ? of->rows : of->columns, length = of->count / side;
      words += kept[i].rank_side * 4 * side + kept[i].rank_length * 4 * length + kept[i].full * of->count;
      words += kept[i].squares * (of->rows * of->rows + of->columns * of->columns);
      words += strstr(kept[i].pairs, "dct_adamw") ? 4 : 0;
      matrices++;
    }
    int64_t wanted = 4 * (moments + words);
    CHECK(f.model->memory.moments == optimizer_state_bytes(&c));
    if (!CHECK(f.model->memory.moments >= wanted && f.model->memory.moments < wanted + matrices * 4 * 64 + 3 * 64))
      printf("# %s: %lld bytes, by the formula %lld\n", kept[i].pairs, (long long)f.model->memory.moments,
             (long long)wanted);
    fixture_close(&f);
  }
  // Moments of what AdamW moves, and a number for each row of the blocks' matrices.
  static const char *const by_matrix[] = {"muon", "normuon", "trion"};
  for (int which = 0; which < 6; which++) {
    bool rows = which % 3 == 1, narrow = which / 3;
    struct run_config c =
        fixture_config(&arena, arena_format(&arena, SMALL "train.optimizer=%s train.optimizer_state=%s",
                                            by_matrix[which % 3], narrow ? "bfloat16" : "float32"));
    struct fixture f = fixture_open(&c, MODEL_TRAIN);
    struct parameter_counts count = config_parameters(&c);
    int64_t elements = 2 * count.total - count.prunable, matrix_rows = 0;
    for (int i = 0; i < f.model->table.tensor_count; i++)
      if (f.model->table.tensors[i].offset >= f.model->table.norms_end &&
          f.model->table.tensors[i].offset < f.model->table.matrices_end)
        matrix_rows += f.model->table.tensors[i].rows;
    int64_t wanted = elements * (narrow ? 2 : 4) + (rows ? matrix_rows * 4 : 0);
    CHECK(f.model->memory.moments == optimizer_state_bytes(&c));
    CHECK(f.model->memory.moments >= wanted && f.model->memory.moments < wanted + 3 * 64);
    fixture_close(&f);
  }
}

// Masks that stay go with optimizers that leave a weight without gradient alone; every other pruning goes with all.
static void formats_that_do_not_go_together(void) {
  for (size_t i = 0; optimizers[i]; i++) {
    struct error error = {0};
    const char *name = optimizers[i]->name;
    bool fits = resolves(
        arena_format(&arena, "train.steps=100 train.optimizer=%s format=sparse(0.5,cubic(0,0.8),every(3),monotone)",
                     name),
        &error);
    CHECK(fits == !optimizers[i]->by_matrix);
    if (!fits) CHECK(strcmp(error.about[0], "train.optimizer") == 0 && strstr(error.text, "adamw, sgd, lion"));
    error = (struct error){0};
    CHECK(resolves(arena_format(&arena, "train.optimizer=%s format=2:4", name), &error));
  }
}

// The transform of a line by GSL's fast one, after Makhoul (1980): even elements, then odd ones backwards, Fourier, a
// turn of each coefficient.
static void fast_dct(int64_t n, const double *x, double *to) {
  double *packed = arena_array(&arena, 2 * (size_t)n, sizeof *packed);
  gsl_fft_complex_wavetable *table = gsl_fft_complex_wavetable_alloc((size_t)n);
  gsl_fft_complex_workspace *work = gsl_fft_complex_workspace_alloc((size_t)n);
  for (int64_t i = 0; i < n; i++) packed[2 * (i % 2 ? n - 1 - i / 2 : i / 2)] = x[i];
  gsl_fft_complex_forward(packed, 1, (size_t)n, table, work);
  for (int64_t k = 0; k < n; k++) {
    double angle = acos(-1) * (double)k / (2 * (double)n);
    to[k] = sqrt((k ? 2 : 1) / (double)n) * (packed[2 * k] * cos(angle) + packed[2 * k + 1] * sin(angle));
  }
  gsl_fft_complex_wavetable_free(table);
  gsl_fft_complex_workspace_free(work);
}

// The directions' coefficients by a product are those of the fast transform to 1e-10 in double precision. What the
// directions chosen by squares hold of a matrix, as a backend calculates it, is at least their share of its squares.
static void chosen_directions(void) {
  enum { ROWS = 40, COLUMNS = 24, COUNT = ROWS * COLUMNS };
  struct run_config c = fixture_config(&arena, SMALL "train.optimizer=trion");
  struct fixture f = fixture_open(&c, MODEL_TRAIN);
  struct error error = {0};
  float x[COUNT], basis[COLUMNS * COLUMNS], low[COUNT];
  int32_t chosen[COLUMNS];
  double worst = 0, line[COLUMNS], fast[COLUMNS];
  for (int wide = 0; wide < 2; wide++)
    for (int64_t rank = 1; rank <= COLUMNS; rank += 5) {
      int64_t rows = wide ? COLUMNS : ROWS, columns = wide ? ROWS : COLUMNS;
      double all = 0, held = 0;
      for (int i = 0; i < COUNT; i++)
        all += pow(x[i] = (float)(random_uniform(9, 1003, (uint64_t)rank, (uint64_t)i) - 0.4), 2);
      float *data = f.model->gradients, *to = data + COUNT, *kept = to + COLUMNS * COLUMNS;  // there is room
      int32_t *places = (int32_t *)(kept + COUNT);
      CHECK(f.model->table.count >= 2 * COUNT + COLUMNS * COLUMNS + COLUMNS);
      f.ops->upload(f.device, data, x, sizeof x);
      f.ops->dct_basis(f.device, rows, columns, rank, DCT_SCORE_L2, DCT_PRODUCT, data, places, NULL, to);
      f.ops->product(f.device, wide ? GEMM_NN : GEMM_NT, rank, ROWS, COLUMNS, to, data, kept, false);
      CHECK(f.ops->download(f.device, chosen, places, (size_t)rank * sizeof *chosen, &error));
      CHECK(f.ops->download(f.device, basis, to, (size_t)(rank * COLUMNS) * sizeof *basis, &error));
      CHECK(f.ops->download(f.device, low, kept, (size_t)(rank * ROWS) * sizeof *low, &error));
      for (int64_t i = 0; i < rank * ROWS; i++) held += (double)low[i] * low[i];
      CHECK(held >= (double)rank / COLUMNS * all * (1 - 1e-6) && held <= all * (1 + 1e-6));
      for (int64_t i = 0; i < COLUMNS; i++) line[i] = x[wide ? i * ROWS : i];
      fast_dct(COLUMNS, line, fast);
      for (int64_t j = 0; j < rank; j++) {
        double sum = 0, exact = 0, n = COLUMNS;
        int64_t k = chosen[j];
        for (int64_t i = 0; i < COLUMNS; i++) {
          exact += sqrt((k ? 2 : 1) / n) * cos(acos(-1) * (double)(k * (2 * i + 1)) / (2 * n)) * line[i];
          sum += basis[j * COLUMNS + i] * line[i];
        }
        worst = fmax(worst, fabs(exact - fast[k]));
        CHECK(fabs(sum - fast[k]) < 1e-5 && fabs(low[j * ROWS] - fast[k]) < 1e-5);
      }
    }
  CHECK(worst < 1e-10);
  fixture_close(&f);
}

// KISS FFT's transform of a line is GSL's and the product's to 1e-10, of lengths with all kinds of factors; lines of a
// matrix, whichever way they lie and however many there are, are these rounded.
static void fast_transforms(void) {
  static const int64_t sides[] = {1, 2, 3, 5, 16, 33, 48, 77, 97, 256, 1000, 1024, 1376};
  if (!fast_dct_present()) return;
  for (size_t s = 0; s < sizeof sides / sizeof *sides; s++) {
    enum { LINES = 19 };
    int64_t n = sides[s];
    double worst = 0, apart = 0, *x = arena_array(&arena, (size_t)(LINES * n), sizeof *x);
    double *made = arena_array(&arena, 2 * (size_t)n, sizeof *made),
           *by_gsl = arena_array(&arena, (size_t)n, sizeof *x);
    float *rows = arena_array(&arena, (size_t)(LINES * n), sizeof *rows),
          *columns = arena_array(&arena, (size_t)(LINES * n), sizeof *rows);
    struct fast_dct *plan = fast_dct_open(n);
    for (int64_t i = 0; i < LINES * n; i++)
      columns[i % n * LINES + i / n] = rows[i] =
          (float)(x[i] = (float)(random_uniform(9, 1009, (uint64_t)n, (uint64_t)i) - 0.4));
    fast_dct_lines(plan, LINES, n, 1, rows, rows);
    fast_dct_lines(plan, LINES, 1, LINES, columns, columns);
    for (int64_t line = 0; line < LINES; line++) {
      fast_dct_pair(plan, x + line * n, x + (line + 1) % LINES * n, made, made + n);
      fast_dct(n, x + line * n, by_gsl);
      for (int64_t k = 0; k < n; k++) {
        double exact = 0;
        for (int64_t i = 0; i < n; i++)
          exact += sqrt((k ? 2 : 1) / (double)n) * cos(acos(-1) * (double)(k * (2 * i + 1)) / (2 * (double)n)) *
                   x[line * n + i];
        worst = fmax(worst, fmax(fabs(made[k] - exact), fabs(made[k] - by_gsl[k])));
        apart = fmax(apart, fmax(fabs(rows[line * n + k] - exact), fabs(columns[k * LINES + line] - exact)));
      }
      fast_dct(n, x + (line + 1) % LINES * n, by_gsl);
      for (int64_t k = 0; k < n; k++) worst = fmax(worst, fabs(made[n + k] - by_gsl[k]));
    }
    if (!CHECK(worst < 1e-10 && apart < 3e-6)) printf("# side %d: %g, %g\n", (int)n, worst, apart);
    fast_dct_close(plan);
  }
}

// Which way train.dct: fast goes is a matter of the size alone; whole steps by it have the bits of those by products,
// since it only finds scores, and the same directions are chosen by them unless two are as good as equal.
static void fast_steps(void) {
  static const char *const names[] = {"dct_adamw", "trion"};
  if (!fast_dct_present()) return;
  for (size_t i = 0; i < 2; i++)
    for (int large = 0; large < 2; large++) {
      struct fixture f[2];
      struct error error = {0};
      double worst = 0, moved = 0;
      float *values[3];
      for (int fast = 0; fast < 2; fast++) {
        const char *pairs = arena_format(
            &arena,
            "model.layers=1 model.width=%d model.head_dim=64 model.mlp_width=%d model.context=16 model.vocabulary=23 "
            "train.optimizer=%s train.lr=1e-3 train.rank=16 train.rank_score=l2 train.dct=%s",
            large ? FAST_DCT_SIDE : 64, large ? FAST_DCT_SIDE : 64, names[i], fast ? "fast" : "product");
        struct run_config c = fixture_config(&arena, pairs);
        struct low_rank l = low_rank_of(&c, c.model.width, 2 * c.model.width);
        CHECK(low_rank_path(&c, &l) == (fast && large ? DCT_FAST : DCT_PRODUCT));
        f[fast] = fixture_open(&c, MODEL_TRAIN);
        model_initialise(f[fast].model, 7);
        int64_t count = f[fast].model->table.count;
        for (int v = 0; v < 3; v++)
          if (!fast || v == 1) values[v] = arena_array(&arena, (size_t)count, sizeof *values[v]);
        if (!fast) CHECK(f[0].ops->download(f[0].device, values[2], f[0].model->parameters, (size_t)count * 4, &error));
        for (int step = 1; step <= 2; step++) {
          for (int64_t j = 0; j < count; j++)
            values[fast][j] = (float)(random_uniform(3, 1011, (uint64_t)step, (uint64_t)j) - 0.5);
          f[fast].ops->upload(f[fast].device, f[fast].model->gradients, values[fast], (size_t)count * 4);
          model_update(f[fast].model, 1e-3, step - 1, 0);
        }
        CHECK(
            f[fast].ops->download(f[fast].device, values[fast], f[fast].model->parameters, (size_t)count * 4, &error));
        for (int64_t j = 0; fast && j < count; j++) {
          worst = fmax(worst, fabs(values[1][j] - values[0][j]));
          moved = fmax(moved, fabs(values[0][j] - values[2][j]));
        }
        fixture_close(&f[fast]);
      }
      if (!CHECK(moved > 1e-4 && worst == 0))
        printf("# %s, %s: %g apart, %g moved\n", names[i], large ? "large" : "small", worst, moved);
    }
}

int main(void) {
  RUN(the_table_and_the_fields_agree);
  RUN(what_is_not_read_is_refused);
  RUN(identities);
  RUN(steps_are_those_of_the_formulas);
  RUN(steps_of_directions);
  RUN(ldadam_of_full_rank);
  RUN(state_bytes);
  RUN(formats_that_do_not_go_together);
  RUN(chosen_directions);
  RUN(fast_transforms);
  RUN(fast_steps);
  arena_free(&arena);
  return check_end();
}
