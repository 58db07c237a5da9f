// Settings of compressions of any bytes, a line each, "METHOD FIELD=VALUE ...": what is refused is refused in words,
// what is taken compresses a small matrix to numbers, within the bound where there is one.
#include <math.h>
#include <stdio.h>

#include "tests/fuzz/fuzz.h"
#include "trainer/compress/compress.h"

enum { OUTPUTS = 4, INPUTS = 16 };

static void require(bool holds, const char *what, const char *text) {
  if (holds) return;
  fprintf(stderr, "compression fuzz: %s: %s\n", what, text);
  abort();
}

// Inputs of which each is like its neighbours.
static void matrices(float weights[OUTPUTS * INPUTS], float hessian[INPUTS * INPUTS]) {
  for (int i = 0; i < OUTPUTS * INPUTS; i++) weights[i] = (float)((i * 37) % 101 - 50) / 250;
  for (int i = 0; i < INPUTS; i++)
    for (int j = 0; j < INPUTS; j++) hessian[i * INPUTS + j] = (float)pow(0.8, abs(i - j));
}

static void compress(const struct compress_settings *settings, const char *text) {
  float weights[OUTPUTS * INPUTS], hessian[INPUTS * INPUTS], represented[OUTPUTS * INPUTS];
  int32_t codes[OUTPUTS * INPUTS];
  struct error error = {0};
  matrices(weights, hessian);
  struct compress_layer layer = {.outputs = OUTPUTS, .inputs = INPUTS, .weights = weights, .hessian = hessian};
  struct compress_result result = {.represented = represented, .codes = codes};
  if (!compress_check_shape(settings, OUTPUTS, INPUTS, &error)) {
    require(error.code == EXIT_USAGE_ERROR && error.text[0], "a shape refused without words", text);
    return;
  }
  if (!compress_matrix(settings, &layer, &result, &error)) {
    require(error.code == EXIT_USAGE_ERROR && error.text[0], "refused without words", text);
    return;
  }
  for (int i = 0; i < OUTPUTS * INPUTS; i++) require(isfinite(represented[i]), "a weight is no number", text);
  require(result.relative_error >= 0 && result.output_error >= -1e-12, "an error below 0", text);
  require(result.sparsity >= 0 && result.sparsity <= 1, "a sparsity outside [0, 1]", text);
  require(result.clipped >= 0 && result.clipped <= 1, "a share outside [0, 1]", text);
  require(result.bits_per_weight >= 0 && result.bits_per_weight < 1000, "bits that cannot be", text);
  double before = compress_bits(settings, INPUTS);
  require(isnan(before) || before == result.bits_per_weight, "other bits than were told before", text);
  if (!isnan(result.bound) && result.clipped == 0)
    require(result.weighted_error <= result.bound * (1 + 1e-3) + 1e-12, "beyond the bound", text);
}

static void examine(char *line) {
  struct arena arena = {0};
  struct error error = {0};
  struct compress_settings settings;
  const char *whole = arena_string(&arena, line);
  char *save, *word = strtok_r(line, " ", &save);
  const struct compress_method *method = word ? compress_method_find(word, NULL) : NULL;
  bool fine = method != NULL && !strstr(whole, "grid(");  // files are the user's own
  if (fine) compress_default(&settings, method);
  while (fine && (word = strtok_r(NULL, " ", &save))) {
    char *value = strchr(word, '=');
    if (!value) break;
    *value++ = '\0';
    const struct compress_setting *setting = compress_setting_find(method, word, NULL);
    fine = setting && compress_set(&settings, setting, value, &arena, &error);
    if (setting && !fine)
      require(error.code == EXIT_USAGE_ERROR && error.text[0], "a value refused without words", whole);
  }
  if (fine && !compress_resolve(&settings, &arena, &error)) {
    require(error.code == EXIT_USAGE_ERROR && error.text[0], "settings refused without words", whole);
    fine = false;
  }
  if (fine) {
    require(compress_canonical(&settings, &arena)[0], "no canonical text", whole);
    compress_activations(&settings, &arena);
    compress(&settings, whole);
  }
  arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *bytes = fuzz_text(data, size);
  for (char *save, *line = strtok_r(bytes, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) examine(line);
  free(bytes);
  return 0;
}
