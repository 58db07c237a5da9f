// Formats as a spec's mapping gives them: what mappings mean, and mistakes at the value that makes them.
#include "tests/check.h"
#include "trainer/formats.h"

static struct arena arena;

static void test_meanings(void) {
  static const char *const pairs[][2] = {
      {"{}", "none"},
      {"{weights: none, layers: mlp}", "none"},
      {"{weights: int4, activations: int4}", "w4a4"},
      {"{weights: {grid: int4}, activations: {grid: int4, hadamard: fixed}}", "w4a4"},
      {"{weights: {grid: int4, scale: absmax, per: group(32), hadamard: none, estimator: ste}}", "int4-g32"},
      {"{weights: {grid: mxfp4, recipe: quest}, activations: quest-mxfp4}", "quest-mxfp4"},
      {"{weights: {sparsity: '2:4', grid: int4}}", "2:4+int4"},
      {"{weights: {grid: '2:4+int4'}}", "2:4+int4"},
      {"{weights: {grid: lsq-int4}}", "lsq-w4"},
      {"{weights: {grid: 'int4[absmax]', hadamard: false, estimator: ste}}", "absmax-w4"},
      {"{weights: {estimator: ste, hadamard: none, grid: int4, recipe: lsq, scale: rms, per: row}}", "ste-w4"},
      {"{weights: {sparsity: 'sparse(0.5,journey)', grid: int4}}", "w(sparse(0.5,journey)+int4[no-hadamard])"},
      {"{weights: int8, layers: [gate_up, down]}", "w8[layers(gate_up,down)]"},
      {"{weights: int8, layers: mlp}", "w8[layers(gate_up,down)]"},
      {"{weights: int8, layers: 'qkv,output'}", "w8[layers(attention)]"},
      {"{weights: {grid: int4, hadamard: 32}}", "int4[hadamard(32)]"},
      {"{weights: {grid: int4, hadamard: random}}", "int4[random-hadamard]"},
      {"{weights: {grid: int4, hadamard: true}}", "int4"},
      {"{weights: {grid: int4, rounding: stochastic, scale_type: power-ceil}}", "int4[stochastic,power-ceil]"},
      {"{weights: {grid: nvfp4, per: square(16)}, activations: nvfp4, gradients: {grid: nvfp4, rounding: stochastic, "
       "hadamard: signed-hadamard-up-to(16)}, backward: tokens, high_precision: 0.16}",
       "nvidia-nvfp4"},
      {"{weights: {grid: nvfp4, scale_type: \"e4m3-scale,four-over-six\"}}", "nvfp4[four-over-six]"},
      {"{weights: int8-tread, gradients: int8-tread, token_hadamard: true}",
       "w(int8-tread)g(int8-tread)[token-hadamard]"},
      {"{weights: ste-int8, gradients: int8, backward: original}", "w(ste-int8)g(int8)[original]"},
      {"{weights: int8, gradients: int8, backward: requantize}", "w(int8)g(int8)[requantize]"},
      {"{weights: int8, backward: forward}", "w8"},
  };
  for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
    struct error error = {0};
    const struct format *format = format_read(pairs[i][0], &arena, &error),
                        *same = format_read(pairs[i][1], &arena, &error);
    struct text mapping = {0}, text = {0};
    if (CHECK(format && same)) {
      CHECK_TEXT(format->name, same->name);
      format_long_text(format, &mapping);
      format_long_text(same, &text);
      CHECK_TEXT(text_string(&mapping), text_string(&text));
    } else {
      printf("# %s: %s\n", pairs[i][0], error.text);
    }
    text_free(&mapping);
    text_free(&text);
  }
}

// Where the first mistake of a spec is, and what it says.
static void test_mistakes(void) {
  static const struct {
    const char *spec;
    int line, column;
    const char *message, *hint;
  } cases[] = {
      {"weights: {grid: int0}", 1, 17, "'int0': integer grids have 1 to 8 bits", NULL},
      {"weights:\n  grid: int4\n  hadamrd: none", 3, 3, "unknown key 'hadamrd' in a format's operand",
       "did you mean 'hadamard'?"},
      {"weights: {recipe: queest, grid: int4}", 1, 19, "'queest' is no recipe", "did you mean 'quest'?"},
      {"weights: {grid: int4, scale: absmax, hadamard: 24}", 1, 48,
       "'hadamard(24)': a Hadamard block is a power of two from 2 to 256", NULL},
      {"weights: {grid: int4, rounding: stochastc}", 1, 33, "'stochastc' is no option", "did you mean 'stochastic'?"},
      {"weights: {grid: mxpf4}", 1, 17, "'mxpf4' is no format", "did you mean 'mxfp4'?"},
      {"activations: {recipe: lsq, grid: int4, per: row}", 1, 45,
       "activations: a learned scale is one float per tensor of weights or activations on an integer grid, to nearest",
       NULL},
      {"activations: int12", 1, 14, "'int12': integer grids have 1 to 8 bits", NULL},
      {"gradients: {recipe: lsq, grid: int4}", 1, 32,
       "gradients: a learned scale is one float per tensor of weights or activations on an integer grid, to nearest",
       NULL},
      // The scale alone would break another rule, which the estimator mends.
      {"weights: {grid: int4, scale: learned, estimator: lsq}", 1, 50,
       "weights: a learned scale is of untransformed values: leave hadamard out", NULL},
      {"weights: {grid: none, scale: absmax}", 1, 30, "scale goes with a grid or with sparsity", NULL},
      {"weights: {scale: absmax}", 1, 10, "names no grid and no sparsity", NULL},
      {"weights: [1]", 1, 10, "an operand is a representation such as int4, or a mapping, not a list", NULL},
      {"weights: {grid: [int4]}", 1, 17, "grid must be one word, not a list", NULL},
      {"weights: int4\nbackward: foo", 2, 11, "backward is forward, requantize, tokens or original", NULL},
      {"weights: int4\ntoken_hadamard: 3", 2, 17, "token_hadamard is true or false", NULL},
      {"weights: int4\nlayers: [qkv, attn]", 2, 15, "layers are qkv, output, gate_up, down, attention and mlp", NULL},
      {"weights: int4\nlayers: []", 2, 9, "layers is a list of qkv, output, gate_up, down, attention, mlp", NULL},
      {"weights: int4\nbackward: original", 1, 1, "original operands in the backward pass go with the estimator ste",
       NULL},
      {"weights: int4\ntoken_hadamard: true", 1, 1, "token-hadamard needs gradients with a grid", NULL},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct diagnostics diagnostics = {0};
    struct node *root = document_parse(&arena, "spec.yaml", cases[i].spec, strlen(cases[i].spec), &diagnostics);
    CHECK(root && !format_read_node(root, &arena, &diagnostics));
    const struct diagnostic *first = diagnostics.items;
    if (CHECK(diagnostics.count == 1)) {
      CHECK_TEXT(first->message, cases[i].message);
      if (!CHECK(first->line == cases[i].line && first->column == cases[i].column))
        printf("# %s: at %d:%d\n", cases[i].spec, first->line, first->column);
      if (cases[i].hint && CHECK(first->hint != NULL)) CHECK_TEXT(first->hint, cases[i].hint);
      if (!cases[i].hint) CHECK(first->hint == NULL);
    }
    diagnostics_free(&diagnostics);
  }
}

// As text, where there are no places: one message.
static void test_mistakes_in_text(void) {
  static const char *const cases[][2] = {{"{weights: {grid: int4, sclae: rms}}", "format: unknown key 'sclae'"},
                                         {"{weights: int4", "format: "},
                                         {"w4a44", "format: 'w4a44': 1 to 8 bits"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct error error = {0};
    CHECK(!format_read(cases[i][0], &arena, &error) && error.code == EXIT_USAGE_ERROR);
    if (!CHECK(starts_with(error.text, cases[i][1]))) printf("# %s\n", error.text);
  }
}

static void test_canonical_names(void) {
  CHECK_TEXT(format_canonical("w4a16", &arena), "w4");
  CHECK_TEXT(format_canonical("{weights: int4}", &arena), "w4");
  CHECK_TEXT(format_canonical("their-own", &arena), "their-own");
}

static void test_facts(void) {
  struct format_facts facts = format_facts("quartet", &arena);
  CHECK_TEXT(facts.name, "quartet");
  CHECK_TEXT(facts.forward, "quest-mxfp4");
  CHECK(facts.bits[OPERAND_WEIGHTS] == 4.25);
  facts = format_facts("w4a4", &arena);
  CHECK_TEXT(facts.forward, "w4a4");
  CHECK_TEXT(facts.backward, "none");
  facts = format_facts("their-own", &arena);
  CHECK_TEXT(facts.name, "their-own");
  CHECK(!facts.forward && !facts.backward && isnan(facts.bits[OPERAND_WEIGHTS]));
}

int main(void) {
  RUN(test_meanings);
  RUN(test_mistakes);
  RUN(test_mistakes_in_text);
  RUN(test_canonical_names);
  RUN(test_facts);
  arena_free(&arena);
  return check_end();
}
