// trainer/optimizers: the table beside the table of run fields, what a spec may say, whole steps of a model against
// double precision, and the bytes of the state.
#include <math.h>
#include <string.h>

#include "tests/trainer/fixture.h"
#include "trainer/layout.h"

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
      CHECK(field->effect == EFFECT_COUNTS && !field->counts_when && optimizer_reads(&c, field));
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
}

// ---- steps ----

#define SMALL "model.layers=2 model.width=32 model.head_dim=16 model.kv_heads=1 model.context=16 model.vocabulary=23 "

// A run's parameters in double precision, moved as its optimizer is written down.
struct exact {
  const struct run_config *config;
  const struct parameter_table *table;
  double *p, *m, *v;
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

static void exact_step(struct exact *e, const double *gradient, double lr, int64_t step) {
  exact_elements(e, gradient, lr, step);
  for (int i = 0; i < e->table->tensor_count && optimizer_of(e->config)->by_matrix; i++)
    if (decays(e, e->table->tensors[i].offset)) exact_matrix(e, &e->table->tensors[i], gradient, lr);
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
  }
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

// Cosine directions chosen by squares hold at least their share of a matrix's squares, and what is projected stays.
static void chosen_directions(void) {
  enum { ROWS = 40, COLUMNS = 24 };
  struct run_config c = fixture_config(&arena, SMALL "train.optimizer=trion");
  struct fixture f = fixture_open(&c, MODEL_TRAIN);
  struct error error = {0};
  for (int wide = 0; wide < 2; wide++)
    for (int64_t rank = 1; rank <= COLUMNS; rank += 5) {
      float x[ROWS * COLUMNS], once[ROWS * COLUMNS], twice[ROWS * COLUMNS];
      int64_t rows = wide ? COLUMNS : ROWS, columns = wide ? ROWS : COLUMNS;
      double all = 0, left = 0, moved = 0;
      for (int i = 0; i < ROWS * COLUMNS; i++)
        x[i] = (float)(random_uniform(9, 1003, (uint64_t)rank, (uint64_t)i) - 0.4);
      float *data = f.model->gradients;  // there is room
      CHECK(f.model->table.count >= ROWS * COLUMNS);
      f.ops->upload(f.device, data, x, sizeof x);
      f.ops->project_dct(f.device, rows, columns, rank, DCT_SCORE_L2, data);
      CHECK(f.ops->download(f.device, once, data, sizeof once, &error));
      f.ops->project_dct(f.device, rows, columns, rank, DCT_SCORE_L2, data);
      CHECK(f.ops->download(f.device, twice, data, sizeof twice, &error));
      for (int i = 0; i < ROWS * COLUMNS; i++) {
        all += (double)x[i] * x[i];
        left += ((double)x[i] - once[i]) * ((double)x[i] - once[i]);
        moved = fmax(moved, fabs((double)twice[i] - once[i]));
      }
      CHECK(left <= (1 - (double)rank / COLUMNS) * all + 1e-6 * all);
      CHECK(moved < 2e-6);
    }
  fixture_close(&f);
}

int main(void) {
  RUN(the_table_and_the_fields_agree);
  RUN(what_is_not_read_is_refused);
  RUN(identities);
  RUN(steps_are_those_of_the_formulas);
  RUN(state_bytes);
  RUN(formats_that_do_not_go_together);
  RUN(chosen_directions);
  arena_free(&arena);
  return check_end();
}
