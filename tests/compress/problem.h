// Problems for tests of compression: weights, correlated inputs and their Hessians, from a seed.
#pragma once
#include <stdlib.h>

#include "tests/check.h"
#include "trainer/compress/internal.h"

static inline double normal(uint64_t seed, uint64_t step, uint64_t index) {
  double pair[2];
  random_normal_pair(seed, RANDOM_STREAM_MONTE_CARLO, step, index / 2, pair);
  return pair[index % 2];
}

struct problem {
  int64_t outputs, inputs, tokens;
  double *x;        // [tokens, inputs]
  float *weights;   // [outputs, inputs]
  float *hessian;   // [inputs, inputs]: mean of x x^T
  double *precise;  // the same in double precision
  float *represented;
  int32_t *codes;
  struct compress_result result;
};

// Inputs x = M z of fewer causes than inputs, of unlike sizes, and a little noise of their own: correlated as a
// layer's.
static inline struct problem problem_make(int64_t outputs, int64_t inputs, int64_t tokens, uint64_t seed) {
  struct problem p = {.outputs = outputs, .inputs = inputs, .tokens = tokens};
  int64_t causes = inputs / 2 + 1;
  double *mixing = memory_get((size_t)(inputs * causes) * sizeof *mixing), *z = memory_get((size_t)causes * sizeof *z);
  p.x = memory_get((size_t)(tokens * inputs) * sizeof *p.x);
  p.weights = memory_get((size_t)(outputs * inputs) * sizeof *p.weights);
  p.represented = memory_get((size_t)(outputs * inputs) * sizeof *p.represented);
  p.codes = memory_get((size_t)(outputs * inputs) * sizeof *p.codes);
  p.hessian = memory_get((size_t)(inputs * inputs) * sizeof *p.hessian);
  p.precise = memory_get((size_t)(inputs * inputs) * sizeof *p.precise);
  for (int64_t i = 0; i < inputs; i++) {
    double size = exp(0.7 * normal(seed, 0, (uint64_t)i));
    for (int64_t j = 0; j < causes; j++)
      mixing[i * causes + j] = size * normal(seed, 1, (uint64_t)(i * causes + j)) / (1 + 0.3 * (double)j);
  }
  for (int64_t t = 0; t < tokens; t++) {
    for (int64_t j = 0; j < causes; j++) z[j] = normal(seed, 2 + (uint64_t)t, (uint64_t)j);
    for (int64_t i = 0; i < inputs; i++) {
      double sum = 0.2 * normal(seed, 2 + (uint64_t)t, (uint64_t)(causes + i + 1));
      for (int64_t j = 0; j < causes; j++) sum += mixing[i * causes + j] * z[j];
      p.x[t * inputs + i] = sum;
    }
  }
  for (int64_t i = 0; i < inputs; i++)
    for (int64_t j = 0; j <= i; j++) {
      double sum = 0;
      for (int64_t t = 0; t < tokens; t++) sum += p.x[t * inputs + i] * p.x[t * inputs + j];
      p.precise[i * inputs + j] = p.precise[j * inputs + i] = sum / (double)tokens;
    }
  for (int64_t i = 0; i < inputs * inputs; i++) p.hessian[i] = (float)p.precise[i];
  for (int64_t i = 0; i < outputs * inputs; i++) p.weights[i] = (float)(0.05 * normal(seed, 1000000, (uint64_t)i));
  free(mixing);
  free(z);
  return p;
}

static inline void problem_free(struct problem *p) {
  free(p->x);
  free(p->weights);
  free(p->hessian);
  free(p->precise);
  free(p->represented);
  free(p->codes);
}

// Settings from "gptq bits=3 order=act". False and the message in *error.
static inline bool settings_read(const char *text, struct compress_settings *settings, struct arena *arena,
                                 struct error *error) {
  size_t count;
  const char **words = text_split(arena, text, " ", &count);
  const struct compress_method *method = compress_method_find(words[0], NULL);
  if (!method) return error_set(error, EXIT_USAGE_ERROR, "no method %s", words[0]);
  compress_default(settings, method);
  for (size_t i = 1; i < count; i++) {
    char *name = arena_string(arena, words[i]), *value = strchr(name, '=');
    *value++ = 0;
    const struct compress_setting *setting = compress_setting_find(method, name, NULL);
    if (!setting) return error_set(error, EXIT_USAGE_ERROR, "no setting %s", name);
    if (!compress_set(settings, setting, value, arena, error)) return false;
  }
  return compress_resolve(settings, arena, error);
}

// Compresses the problem; a failure is a failed check.
static inline bool compress(struct problem *p, const char *text, bool calibrated) {
  struct arena arena = {0};
  struct error error = {0};
  struct compress_settings settings;
  struct compress_layer layer = {.outputs = p->outputs,
                                 .inputs = p->inputs,
                                 .weights = p->weights,
                                 .hessian = calibrated ? p->hessian : NULL,
                                 .seed = 7,
                                 .number = 3};
  p->result = (struct compress_result){.represented = p->represented, .codes = p->codes};
  bool fine = settings_read(text, &settings, &arena, &error) && compress_matrix(&settings, &layer, &p->result, &error);
  if (!fine) {
    printf("# %s: %s\n", text, error.text);
    check_failures++;
  }
  arena_free(&arena);
  return fine;
}
