// Formats of any bytes: every line as the short form, the whole as YAML. Nothing may crash or hang; what is refused is
// refused in words; what is taken has a name that means the same, densities and bits that make sense, and represents
// numbers as numbers.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/formats/quantize.h"
#include "tests/fuzz/fuzz.h"
#include "trainer/formats.h"

enum { ROWS = 2, COLUMNS = 64 };

static void require(bool holds, const char *what, const char *text) {
  if (holds) return;
  fprintf(stderr, "format fuzz: %s: %s\n", what, text);
  abort();
}

static void represent(const struct representation *representation, const char *text, struct arena *arena) {
  struct quantizer quantizer;
  struct error error = {0};
  if (!quantizer_make(&quantizer, representation, COLUMNS, arena, &error)) {
    require(error.code == EXIT_USAGE_ERROR && error.text[0], "refused without words", text);
    return;
  }
  float x[ROWS * COLUMNS], y[ROWS * COLUMNS];
  for (int i = 0; i < ROWS * COLUMNS; i++) x[i] = (float)((i * 37) % 101 - 50) / 25;
  uint8_t mask[ROWS * COLUMNS];
  float *scratch = arena_array(arena, (size_t)quantize_scratch(COLUMNS), sizeof *scratch);
  struct tensor_statistics statistics = {.absmax = 2, .rms = 1, .learned = 0.5f, .threshold = 1, .last_tie = -1};
  struct quantize_call call = {.quantizer = &quantizer,
                               .statistics = &statistics,
                               .rows = ROWS,
                               .from = x,
                               .to = y,
                               .mask = mask,
                               .scratch = scratch};
  format_level_find(ISA_PORTABLE)->quantize(&call, 0, ROWS, 0);
  for (int i = 0; i < ROWS * COLUMNS; i++) require(!isnan(y[i]), "a number becomes none", text);
}

static void examine(const struct format *format, const char *text, struct arena *arena) {
  struct error error = {0};
  struct text words = {0};
  require(format->name && format->name[0], "no name", text);
  const struct format *again = format_parse(format->name, arena, &error);
  require(again && strcmp(again->name, format->name) == 0, "the name means something else", text);
  format_long_text(format, &words);
  again = format_parse(text_string(&words), arena, &error);
  require(again && strcmp(again->name, format->name) == 0, "the long text means something else", text);
  text_clear(&words);
  format_describe(format, &words);
  require(words.length > 0, "no description", text);
  text_free(&words);
  for (int64_t step = 0; step < 50; step += 7) {
    double density = format_density(format, step, 50);
    require(density >= 0 && density <= 1, "a density outside [0, 1]", text);
  }
  double average = format_average_density(format, 50);
  require(average >= 0 && average <= 1, "an average density outside [0, 1]", text);
  if (!format_check_shape(format, 96, COLUMNS, 32, &error))
    require(error.code == EXIT_USAGE_ERROR && error.text[0], "a shape refused without words", text);
  for (int i = 0; i < OPERANDS; i++) {
    const struct representation *operand = &format->operands[i];
    double bits = representation_bits(operand);
    require(bits >= 0 && bits < 100, "bits that cannot be", text);
    if (!representation_is_none(operand)) represent(operand, text, arena);
  }
}

static void short_form(const char *text) {
  struct arena arena = {0};
  struct error error = {0};
  // Files of grids are the user's own; here they would be anything on the disk.
  const struct format *format = strstr(text, "grid(") ? NULL : format_parse(text, &arena, &error);
  if (format) examine(format, text, &arena);
  if (!format && !strstr(text, "grid("))
    require(error.code == EXIT_USAGE_ERROR && error.text[0], "refused without words", text);
  arena_free(&arena);
}

// A document of formats: one, or a list of them.
static void mapping(const char *bytes, size_t size) {
  struct arena arena = {0};
  struct diagnostics diagnostics = {0};
  const struct node *root = document_parse(&arena, "fuzz.yaml", bytes, size, &diagnostics);
  size_t count = root && root->kind == NODE_SEQUENCE ? root->count : root != NULL;
  for (size_t i = 0; i < count && !diagnostics.errors; i++) {
    const struct node *node = root->kind == NODE_SEQUENCE ? root->items[i] : root;
    const struct format *format = format_read_node(node, &arena, &diagnostics);
    require((format != NULL) == (diagnostics.errors == 0), "an error without a diagnostic, or the other way round",
            bytes);
    if (format) examine(format, bytes, &arena);
  }
  for (size_t i = 0; i < diagnostics.count; i++)
    require(diagnostics.items[i].message[0] && diagnostics.items[i].line >= 0, "a diagnostic without words", bytes);
  diagnostics_free(&diagnostics);
  arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *bytes = fuzz_text(data, size);
  if (!strstr(bytes, "grid(")) mapping(bytes, size);
  for (char *save, *line = strtok_r(bytes, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) short_form(line);
  free(bytes);
  return 0;
}
