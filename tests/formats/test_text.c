// Formats as text: what texts mean, canonical names, bits, shapes, mistakes.
#include <stdlib.h>
#include <unistd.h>

#include "kernels/formats/format.h"
#include "kernels/formats/grid.h"
#include "tests/check.h"

static struct arena arena;

static const struct format *parse(const char *text) {
  struct error error = {0};
  const struct format *format = format_parse(text, &arena, &error);
  if (!format) {
    printf("# %s: %s\n", text, error.text);
    check_failures++;
    static struct format none;
    none.name = "";
    return &none;
  }
  return format;
}

static const char *name(const char *text) { return parse(text)->name; }

static void canonical_names(void) {
  static const char *const pairs[][2] = {
      {"none", "none"},
      {"w16a16", "none"},
      {"w4a4", "w4a4"},
      {" w4a4 ", "w4a4"},
      {"quest-w4a4", "w4a4"},
      {"w(int4)a(int4)", "w4a4"},
      {"w4", "w4"},
      {"w4a16", "w4"},
      {"int4", "w4"},
      {"a8", "a8"},
      {"w16a8", "a8"},
      {"w2a4", "w2a4"},
      {"w4a4g8", "w4a4g8"},
      {"lsq-w4a4", "lsq-w4a4"},
      {"seq-w2", "seq-w2"},
      {"w(seq-ternary)a(int8)", "w(seq-ternary)a(int8)"},
      {"ste-w3", "ste-w3"},
      {"clip-w2a2", "clip-w2a2"},
      {"absmax-w8a8", "absmax-w8a8"},
      {"w4a4[no-hadamard,ste]", "ste-w4a4"},
      {"int4[absmax,no-hadamard,ste]", "absmax-w4"},
      {"mxfp4", "mxfp4"},
      {"mxfp4-e2m1", "mxfp4"},
      {"fp4-e2m1[absmax,group(32),power-floor,no-hadamard,ste]", "mxfp4"},
      {"mxfp8", "mxfp8"},
      {"mxfp8-e5m2", "mxfp8-e5m2"},
      {"mxint8", "mxint8"},
      {"nvfp4", "nvfp4"},
      {"quest-mxfp4", "quest-mxfp4"},
      {"w(quest-mxfp4)", "w(quest-mxfp4)"},
      {"w(quest-mxfp4)a(quest-mxfp4)", "quest-mxfp4"},
      {"quartet", "quartet"},
      {"quartet-sr", "quartet"},
      {"mxfp6", "mxfp6-e2m3"},
      {"mxfp4[power-nearest]", "fp4-e2m1[absmax,group(32),power-round,nearest,no-hadamard,ste]"},
      {"nvfp4[scale-max(448)]", "nvfp4"},
      {"nvfp4[four-over-six,scale-max(256)]",
       "fp4-e2m1[absmax,group(16),e4m3-scale,four-over-six,nearest,no-hadamard,ste]"},
      {"int4-zero-g32", "int4-zero-g32"},
      {"int4-twos[absmax(0.9333331),group(32),no-hadamard,ste]", "int4-zero-g32"},
      {"absmax-int4-zero-g32", "int4-twos-g32"},
      {"nvidia-nvfp4", "nvidia-nvfp4"},
      {"w(nvfp4[square(16)])a(nvfp4)g(nvfp4[stochastic,signed-hadamard-up-to(16)])[tokens,high-precision(0.16)]",
       "nvidia-nvfp4"},
      {"quartet2", "quartet2"},
      {"tetrajet2", "tetrajet2"},
      {"2:4", "2:4"},
      {"2:4(forward)", "2:4"},
      {"2:4+int4", "2:4+int4"},
      {"paired-4:8+int4", "paired-4:8+int4"},
      {"w(paired-4:8+int4)a(int4)", "w(paired-4:8+int4)a(int4)"},
      {"sparse(0.5)", "sparse(0.5)"},
      {"sparse(.50,tensor,dynamic)", "sparse(0.5)"},
      {"sparse(0.5)+int4", "sparse(0.5)+int4"},
      {"noise(0.01)", "noise(0.01)"},
      {"ternary", "ternary"},
      {"int2-tread", "ternary"},
      {"int4-tread", "int4-tread"},
      {"int4-twos", "int4-twos"},
      {"int4-g32", "int4-g32"},
      {"int4-g128", "int4-g128"},
      {"fp4-e2m1", "fp4-e2m1"},
      {"e2m1", "fp4-e2m1"},
      {"fp8-e4m3", "fp8-e4m3"},
      {"vq2-16", "vq2-16"},
      {"vq1-16", "vq1-16"},
      {"levels(-0.7978845608028654 0.7978845608028654)", "vq1-2"},
      {"nf4", "nf4"},
      {"w(nf4)a(int8)", "w(nf4)a(int8)"},
      {"2:4+nf4", "2:4+nf4"},
      {"quest-nf4", "quest-nf4"},
      {"levels(1 -1, 0.25)", "levels(-1 0.25 1)"},
      {"fp8-mixed", "fp8-mixed"},
      {"halo2-int8", "halo2-int8"},
      {"w4a4[layers(mlp)]", "w4a4[layers(gate_up,down)]"},
  };
  for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
    if (!CHECK_TEXT(name(pairs[i][0]), pairs[i][1])) printf("# of %s\n", pairs[i][0]);
  // quest-mxfp4 alone names a recipe for both operands; within w(...) it is a representation.
  CHECK(!representation_is_none(&parse("quest-mxfp4")->operands[OPERAND_ACTIVATIONS]));
  CHECK(representation_is_none(&parse("w(quest-mxfp4)")->operands[OPERAND_ACTIVATIONS]));
}

// Whatever is named parses back to itself, by its short and its long text.
static void round_trips(void) {
  static const char *const texts[] = {
      "w4a4",
      "w1a1",
      "lsq-w2a2",
      "mxfp4",
      "nvfp4",
      "2:4+int4",
      "quartet",
      "quartet-rtn",
      "quartet-code",
      "quartet2",
      "w(nvfp4[square(16)])g(nvfp4[eden])[high-precision(0.3)]",
      "fp8-mixed",
      "halo1-int6",
      "sparse(0.8,journey)",
      "sparse(0.5,cubic(0.1,0.9),every(7),global)",
      "sparse(0.5,b-rms(0.2))",
      "sparse(0.5,a-b-rms(0.3),global)+int3[stochastic]",
      "random-sparse(0.5)",
      "int4[rms(1.7),group(64),power-round,stochastic,hadamard(64),clip]",
      "w(int4[hadamard(32),ste])a(fp8-e5m2[absmax,tensor,ste])g(int8[stochastic])[original,layers(qkv,down)]",
      "levels(-3 -0.1 0 0.5)",
      "int1[trust(1.1)]",
      "vq4-256[static(0.25)]",
      "nf4",
      "nf4[rms,row,hadamard]",
      "nf4[group(128)]",
      "absmax-vq1-8",
      "w(quest-nf4)a(nf4)",
      "w(2:4(pass))a(sparse(0.25))",
      "int4[random-hadamard]",
      "fp4-e2m1[e4m3-scale]",
      "w(mxfp4)a(mxfp4)g(mxfp4[stochastic])"};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    const struct format *format = parse(texts[i]);
    struct text first = {0}, second = {0};
    format_long_text(format, &first);
    format_long_text(parse(text_string(&first)), &second);
    CHECK_TEXT(text_string(&second), text_string(&first));
    text_clear(&second);
    format_long_text(parse(format->name), &second);
    CHECK_TEXT(text_string(&second), text_string(&first));
    CHECK_TEXT(name(text_string(&first)), format->name);
    CHECK(strlen(format->name) <= first.length);
    struct text about = {0};
    format_describe(format, &about);
    CHECK(about.length > 10);
    text_free(&about);
    text_free(&first);
    text_free(&second);
  }
  for (const struct format_preset *preset = format_presets; preset->name; preset++)
    CHECK_TEXT(name(preset->name), preset->name);
}

static void meanings(void) {
  const struct format *format = parse("w4a4");
  const struct representation *w = &format->operands[OPERAND_WEIGHTS];
  CHECK(w->grid.kind == GRID_UNIFORM && w->grid.count == 16 && w->scale.rule == SCALE_RMS &&
        w->scale.unit == SCALE_PER_ROW);
  CHECK(w->hadamard.kind == HADAMARD_FIXED && w->hadamard.block == 128 && !w->hadamard.exact &&
        w->estimator == ESTIMATOR_TRUST);
  CHECK_NEAR(w->scale.factor * w->grid.high, 2.5140045915, 1e-9);
  CHECK(parse("w1a1")->operands[0].outer == 1.3 && parse("w1a1[no-hadamard]")->operands[0].outer == 1.25);
  w = &parse("mxfp4")->operands[OPERAND_WEIGHTS];
  CHECK(w->scale.rule == SCALE_ABSMAX && w->scale.group == 32 && w->scale.type == SCALE_POWER_FLOOR &&
        w->hadamard.kind == HADAMARD_NONE);
  w = &parse("quartet")->operands[OPERAND_WEIGHTS];
  CHECK(w->scale.rule == SCALE_RMS && w->scale.type == SCALE_POWER_ROUND && w->hadamard.block == 32);
  CHECK_NEAR(w->scale.factor, 0.4870791786, 1e-9);
  format = parse("quartet");
  CHECK(format->backward == BACKWARD_REQUANTIZE &&
        format->operands[OPERAND_GRADIENTS].hadamard.kind == HADAMARD_RANDOM);
  CHECK(parse("halo2-int8")->gradient_token_hadamard && !parse("halo1-int8")->gradient_token_hadamard);
  CHECK(parse("halo0-int8")->operands[0].hadamard.kind == HADAMARD_NONE &&
        parse("halo0-int8")->operands[0].grid.high == 127);
  w = &parse("sparse(0.8,journey)")->operands[OPERAND_WEIGHTS];
  CHECK(w->sparsity.schedule == SCHEDULE_JOURNEY && w->sparsity.monotone && w->sparsity.scope == SCOPE_GLOBAL &&
        w->sparsity.every == 100 && w->sparsity.start == 0.25 && w->sparsity.end == 0.75 && !w->sparsity.of_steps);
  CHECK(parse("w4a4")->layers == LAYERS_DEFAULT &&
        parse("w4[layers(attention)]")->layers == (LAYER_QKV | LAYER_OUTPUT));
  CHECK(format_is_none(parse("none")) && format_is_none(NULL) && !format_is_none(parse("a8")));
  w = &parse("paired-4:8+int4")->operands[OPERAND_WEIGHTS];
  CHECK(w->sparsity.kind == SPARSITY_PAIRED && w->sparsity.backward == SPARSE_TRUST);
}

static double bits(const char *text) { return representation_bits(&parse(text)->operands[OPERAND_WEIGHTS]); }

static void stored_bits(void) {
  CHECK_NEAR(bits("w4"), 4, 1e-12);
  CHECK_NEAR(bits("ternary"), log2(3), 1e-12);
  CHECK_NEAR(bits("mxfp4"), 4.25, 1e-12);
  CHECK_NEAR(bits("nvfp4"), 4.5, 1e-12);
  CHECK_NEAR(bits("int4-g32"), 4.5, 1e-12);
  CHECK_NEAR(bits("fp8-e4m3"), 8, 1e-12);
  CHECK_NEAR(bits("vq2-16"), 2, 1e-12);
  CHECK_NEAR(bits("vq4-256"), 2, 1e-12);
  CHECK_NEAR(bits("paired-4:8+int4"), 2.5, 1e-12);
  CHECK_NEAR(bits("2:4+int4"), 3, 1e-12);
  CHECK_NEAR(bits("2:4"), 9, 1e-12);
  CHECK_NEAR(bits("sparse(0.5)"), 9, 1e-12);
  CHECK_NEAR(bits("none"), 16, 1e-12);
  CHECK_NEAR(bits("noise(0.0625)"), 2, 1e-12);
}

static void shapes(void) {
  struct error error = {0};
  struct hadamard any = {HADAMARD_FIXED, 128, false}, given = {HADAMARD_FIXED, 64, true};
  int block;
  CHECK(hadamard_block(&any, 256, &block, &error) && block == 128);
  CHECK(hadamard_block(&any, 96, &block, &error) && block == 32);
  CHECK(hadamard_block(&any, 1056, &block, &error) && block == 32);
  CHECK(hadamard_block(&any, 7, &block, &error) && block == 1);
  CHECK(hadamard_block(&given, 128, &block, &error) && block == 64);
  CHECK(!hadamard_block(&given, 96, &block, &error) && strstr(error.text, "64 does not divide an axis of 96"));
  error = (struct error){0};
  CHECK(!format_check_shape(parse("w4a4[hadamard(128)]"), 64, 96, 0, &error) && strstr(error.text, "weights") &&
        strstr(error.text, "inputs"));
  error = (struct error){0};
  CHECK(format_check_shape(parse("w4a4"), 64, 96, 128, &error));
  CHECK(!format_check_shape(parse("3:7"), 64, 96, 128, &error) && strstr(error.text, "groups of 7"));
  error = (struct error){0};
  CHECK(!format_check_shape(parse("vq4-256"), 64, 98, 128, &error) && strstr(error.text, "vectors of 4"));
  error = (struct error){0};
  CHECK(!format_check_shape(parse("w8a8g8[hadamard(64)]"), 96, 64, 128, &error) && strstr(error.text, "outputs"));
  error = (struct error){0};
  CHECK(!format_check_shape(parse("w8a8g8[hadamard(64)]"), 64, 64, 96, &error) && strstr(error.text, "tokens"));
}

static void mistakes(void) {
  static const char *const table[][2] = {
      {"w0a4", "0 bits"},
      {"int0", "1 to 8 bits"},
      {"int9", "1 to 8 bits"},
      {"w9", "1 to 8 bits"},
      {"4:2", "N is at most M"},
      {"0:4", "N at least 1"},
      {"paired-3:8", "even"},
      {"mxpf4", "did you mean 'mxfp4'"},
      {"quartett", "did you mean 'quartet'"},
      {"sparse(1)", "below 1"},
      {"sparse(0.5,rms(0.9))", "between 0 and 0.5"},
      {"sparse", "share of zeroes"},
      {"sparse(0.5,golbal)", "did you mean 'global'"},
      {"int4[stochastc]", "did you mean 'stochastic'"},
      {"int4[hadamard(96)]", "power of two"},
      {"int4[hadamard(512)]", "power of two"},
      {"int4+2:4", "before the grid"},
      {"int4+int8", "two grids"},
      {"2:4+4:8+int4", "two kinds"},
      {"w(int4", "bracket"},
      {"int4[ste", "bracket"},
      {"w(int4)b(int4)", "not expected"},
      {"a(int4)w(int4)", "not expected"},
      {"noise(0)", "above 0"},
      {"vq2-17", "vq2-16"},
      {"vq1-32", "vq1-16"},
      {"nf4x", "nf4"},
      {"vq2-16[stochastic]", "no stochastic"},
      {"fp4-e3m1", "do not add up"},
      {"levels(1)", "two levels"},
      {"levels(1 1)", "twice"},
      {"levels(1 x)", "not a number"},
      {"int4[learned]", "go together"},
      {"g(lsq-int4)", "learned"},
      {"a(sparse(0.5,journey))", "only weights"},
      {"a(random-sparse(0.5))", "for weights"},
      {"2:4(b-rms(0.2))", "forward, pass or trust"},
      {"2:4(journey)", "schedule"},
      {"sparse(0.5,journey(0.9,0.1))", "fractions"},
      {"w4a4[layers(attn)]", "layers are"},
      {"w4a4[token-hadamard]", "gradients"},
      {"w4a4[original]", "estimator ste"},
      {"sparse(0.5,monotone,pass)", "monotone goes with forward"},
      {"", "empty"},
      {"int4-g1", "at least 2"},
      {"grid(/no/such/file)", "/no/such/file"},
  };
  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
    struct error error = {0};
    bool refused = format_parse(table[i][0], &arena, &error) == NULL;
    if (!refused || !strstr(error.text, table[i][1]) || error.code != EXIT_USAGE_ERROR) {
      if (refused && strstr(table[i][0], "/no/such") && strstr(error.text, table[i][1])) continue;  // a file's own code
      printf("# '%s': %s (want \"%s\")\n", table[i][0], refused ? error.text : "accepted", table[i][1]);
      check_failures++;
    }
  }
}

static void grid_from_a_file(void) {
  char path[] = "/tmp/isoloss-grid-XXXXXX";
  int file = mkstemp(path);
  const char text[] = "# a grid of one's own\n-1.5 -0.5\n0.5, 1.5 # even\n";
  CHECK(file >= 0 && write(file, text, sizeof text - 1) == (ssize_t)sizeof text - 1);
  close(file);
  char format[64];
  snprintf(format, sizeof format, "grid(%s)", path);
  // Its levels are its identity, not the file's name.
  CHECK_TEXT(name(format), "levels(-1.5 -0.5 0.5 1.5)");
  const struct representation *own = &parse(format)->operands[OPERAND_WEIGHTS];
  CHECK_NEAR(grid_gaussian_error(&own->grid, own->scale.factor), 0.11884605038, 1e-10);
  unlink(path);
}

int main(void) {
  RUN(canonical_names);
  RUN(round_trips);
  RUN(meanings);
  RUN(stored_bits);
  RUN(shapes);
  RUN(mistakes);
  RUN(grid_from_a_file);
  arena_free(&arena);
  return check_end();
}
