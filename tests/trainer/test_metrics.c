// Metrics of a training: spectra against GSL's singular values and shares by their definition; that a training with
// metrics has the results and the log of one without, stopped in the middle too; what stands in the events.
// Argument: the path of isoloss-train.
#include <gsl/gsl_linalg.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/philox.h"
#include "tests/check.h"
#include "tests/trainer/make_run.h"
#include "tests/trainer/process.h"
#include "trainer/spectrum.h"

static const char *program;
static char folder[] = "/tmp/isoloss-metrics-XXXXXX";
static struct arena arena;

static void spectra(void) {
  static const int64_t sizes[][2] = {{12, 7}, {7, 12}, {9, 9}, {1, 5}};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    int64_t rows = sizes[i][0], columns = sizes[i][1], side = rows < columns ? rows : columns, rank = (side + 1) / 2;
    size_t m = (size_t)(rows < columns ? columns : rows), n = (size_t)side;
    float *x = arena_array(&arena, m * n, sizeof *x);
    gsl_matrix *a = gsl_matrix_alloc(m, n), *v = gsl_matrix_alloc(n, n);
    gsl_vector *values = gsl_vector_alloc(n), *work = gsl_vector_alloc(n);
    for (int64_t k = 0; k < rows * columns; k++) {
      x[k] = (float)(random_uniform(3, 1006, i, (uint64_t)k) - 0.3);
      size_t row = (size_t)(k / columns), column = (size_t)(k % columns);
      gsl_matrix_set(a, rows < columns ? column : row, rows < columns ? row : column, x[k]);
    }
    gsl_linalg_SV_decomp(a, v, values, work);
    double all = 0, some = 0, entropy = 0, random, dct = 0, held[16];
    for (size_t k = 0; k < n; k++) all += pow(gsl_vector_get(values, k), 2);
    for (size_t k = 0; k < n; k++) {
      double share = pow(gsl_vector_get(values, k), 2) / all;
      entropy -= share * log(share);
      if ((int64_t)k < rank) some += share;
    }
    struct spectrum s;
    struct error error = {0};
    CHECK(spectrum_of(rows, columns, x, rank, &s, &error));
    CHECK_NEAR(s.squares, all, 1e-12);
    CHECK_NEAR(s.stable_rank, all / pow(gsl_vector_get(values, 0), 2), 1e-10);
    CHECK_NEAR(s.effective_rank, exp(entropy), 1e-8);
    CHECK_NEAR(s.largest_share, some, 1e-10);
    for (int64_t k = 0; k < side; k++) {
      held[k] = 0;
      for (int64_t other = 0; other < rows * columns / side; other++) {
        double sum = 0;
        for (int64_t j = 0; j < side; j++)
          sum += cos(acos(-1) * (double)k * ((double)j + 0.5) / (double)side) * sqrt((k ? 2 : 1) / (double)side) *
                 x[rows <= columns ? j * columns + other : other * columns + j];
        held[k] += sum * sum / all;
      }
    }
    for (int64_t kept = 0; kept < rank; kept++) {
      int64_t best = 0;
      for (int64_t k = 1; k < side; k++)
        if (held[k] > held[best]) best = k;
      dct += held[best];
      held[best] = -1;
    }
    CHECK_NEAR(spectrum_dct_share(rows, columns, x, rank), dct, 1e-6);
    CHECK(spectrum_random_share(rows, columns, x, rank, 1, &random, &error) && random > 0 && random <= some + 1e-6);
    CHECK(spectrum_random_share(rows, columns, x, 99, 1, &random, &error) && fabs(random - 1) < 1e-5);
    CHECK(spectrum_dct_share(rows, columns, x, 99) > 1 - 1e-5);
    gsl_matrix_free(a), gsl_matrix_free(v), gsl_vector_free(values), gsl_vector_free(work);
  }
  float nothing[6] = {0};
  struct spectrum s;
  struct error error = {0};
  CHECK(spectrum_of(2, 3, nothing, 1, &s, &error) && s.stable_rank == 0 && spectrum_dct_share(2, 3, nothing, 1) == 0);
  nothing[3] = NAN;
  CHECK(!spectrum_of(2, 3, nothing, 1, &s, &error));
}

static char *file_of(const char *run, const char *name) { return arena_format(&arena, "%s/%s/%s", folder, run, name); }

static char *trained(const char *run, const char *more, const char *format, const char *stop) {
  char *pairs[] = {"corpus.source=markov2",  "corpus.markov2_vocabulary=32",
                   "model.layers=2",         "model.width=32",
                   "model.kv_heads=1",       "model.context=16",
                   "train.batch_tokens=128", "train.accumulation=2",
                   "train.steps=25",         "train.evals=2",
                   "train.eval_tokens=256",  "train.final_eval_tokens=1024",
                   "train.log_steps=1",      "train.optimizer=muon",
                   (char *)(uintptr_t)more,  (char *)(uintptr_t)format};
  struct error error = {0};
  folder_remove(file_of(run, ""), &error);
  error = (struct error){0};
  if (!CHECK(make_run(file_of(run, ""), (int)(sizeof pairs / sizeof *pairs), pairs, &error)))
    printf("# %s\n", error.text);
  char *config = file_of(run, "config.json");
  if (stop) {
    char *arguments[] = {"--steps", (char *)(uintptr_t)stop, config, NULL};
    CHECK(process_wait(process_start(program, file_of(run, "log.txt"), 0, arguments)) == EXIT_RUNS_FAILED);
  }
  char *arguments[] = {config, NULL};
  CHECK(process_wait(process_start(program, file_of(run, "log.txt"), 0, arguments)) == EXIT_DONE);
  return log_without_times(&arena, file_of(run, "events.jsonl"), &error);
}

// The log without its lines of metrics; how many there were.
static char *without_metrics(const char *log, int *count) {
  struct text text = {0};
  *count = 0;
  for (const char *line = log; *line;) {
    size_t length = strcspn(line, "\n") + 1;
    bool metrics = strncmp(line, "{\"event\":\"metrics\"", 18) == 0;
    *count += metrics;
    if (!metrics) text_format(&text, "%.*s", (int)length, line);
    line += length;
  }
  char *made = arena_string(&arena, text_string(&text));
  text_free(&text);
  return made;
}

static double number_of(const char *log, const char *key) {
  const char *line = strstr(log, "{\"event\":\"metrics\""),
             *at = line ? strstr(line, arena_format(&arena, "\"%s\":", key)) : NULL;
  return at && at < line + strcspn(line, "\n") ? strtod(at + strlen(key) + 3, NULL) : NAN;
}

static void trainings(void) {
  static const char *const formats[] = {"format=none", "format=quartet-sr", "format=lsq-w4a4", "format=2:4"};
  for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
    int none, some;
    char *without = trained("without", "metrics.every=0", formats[i], NULL);
    char *with = trained("with", "metrics.every=10", formats[i], NULL);
    CHECK_TEXT(without_metrics(with, &some), without_metrics(without, &none));
    CHECK(none == 0 && some == 4);  // after steps 1, 10, 20, 25
    if (i == 0) CHECK_TEXT(trained("stopped", "metrics.every=10", formats[i], "14"), with);
    double stable = number_of(with, "weight_stable_rank"), effective = number_of(with, "weight_effective_rank");
    CHECK(stable >= 1 && stable <= effective && effective <= 32);
    stable = number_of(with, "activation_stable_rank"), effective = number_of(with, "activation_effective_rank");
    CHECK(stable >= 1 && stable <= effective && effective <= 96);
    double svd = number_of(with, "gradient_energy_svd");
    CHECK(svd <= 1 + 1e-9 && svd >= number_of(with, "gradient_energy_dct") &&
          svd >= number_of(with, "gradient_energy_random"));
    CHECK(number_of(with, "gradient_energy_random") > 0.2 &&
          number_of(with, "gradient_energy_dct") > 0.5);  // of 16 of 32
    CHECK(number_of(with, "update_ratio") > 0 && number_of(with, "activation_kurtosis") > 1);
    CHECK(number_of(with, "activation_outlier") > 1 && number_of(with, "activation_zero_fraction") < 0.5);
    CHECK(number_of(with, "gradient_norm") > 0);
    bool random = strcmp(formats[i], "format=quartet-sr") == 0;
    CHECK(isfinite(number_of(with, "quantization_noise")) == random);
    if (random)
      CHECK_NEAR(number_of(with, "gradient_over_noise"),
                 number_of(with, "gradient_norm") / (sqrt(3) * number_of(with, "quantization_noise")), 1e-12);
  }
}

int main(int count, char **arguments) {
  struct error error = {0};
  if (count < 2 || !mkdtemp(folder)) return 1;
  program = arguments[1];
  RUN(spectra);
  RUN(trainings);
  folder_remove(folder, &error);
  arena_free(&arena);
  return check_end();
}
