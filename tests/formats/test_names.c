// Names of formats: whatever a format is made of, its name reads as the same format, and so do the names of its parts.
#include "kernels/formats/parse.h"
#include "tests/check.h"

#define LENGTH(list) (sizeof(list) / sizeof(list)[0])

static const char *const grids[] = {
    "",          "int1",       "int4",     "int8",     "ternary",      "int8-tread",       "int2-twos",
    "int8-twos", "int4-g32",   "int8-g16", "fp4-e2m1", "fp4-e1m2",     "fp8-e4m3",         "fp8-e5m2",
    "mxfp4",     "mxfp6-e3m2", "mxfp8",    "mxint8",   "nvfp4",        "int8-twos-g32",    "int2-tread-g8",
    "vq2-16",    "vq1-8",      "nf4",      "vq4-256",  "noise(1e-05)", "levels(-1 0 1e-7)"};
static const char *const patterns[] = {"",
                                       "2:4",
                                       "paired-4:8",
                                       "4:8(pass)",
                                       "sparse(0.5)",
                                       "sparse(0.8,journey)",
                                       "sparse(0.8,cubic(0.1,0.9),every(7),global)",
                                       "random-sparse(0.3,pass)"};
static const char *const recipes[] = {"", "quest-", "lsq-", "ste-", "clip-", "absmax-", "seq-"};
static const char *const options[] = {"",
                                      "[ste]",
                                      "[stochastic]",
                                      "[rms(1.7)]",
                                      "[group(32)]",
                                      "[absmax,group(32),power-floor,no-hadamard,ste]",
                                      "[absmax,group(16),e4m3-scale,no-hadamard,ste]",
                                      "[hadamard-up-to(32)]",
                                      "[trust(1.1)]",
                                      "[learned,lsq,no-hadamard]"};
static const char *const wholes[] = {"%s",
                                     "w(%s)",
                                     "a(%s)",
                                     "g(%s)",
                                     "w(%s)a(%1$s)",
                                     "w(int4)a(%s)g(%1$s)[token-hadamard]",
                                     "w(%s)[layers(mlp)]",
                                     "w(%s)a(%1$s)[requantize]"};

// A name, or NULL; the long text. Without the search for a scale, which no text shows.
static const char *named(const char *spelled, struct text *text, struct arena *arena, struct error *error) {
  struct format format;
  text_clear(text);
  if (!format_parse_into(spelled, &format, arena, error)) return NULL;
  format_long_text(&format, text);
  return format_short_name(&format, arena);
}

// The number of formats that were named: 0 for a text that is none.
static int check_named(const char *spelled) {
  struct arena arena = {0};
  struct error error = {0}, wrong = {0};
  struct text first = {0}, second = {0};
  const char *name = named(spelled, &first, &arena, &error);
  if (name) {
    bool fine = CHECK_TEXT(named(name, &second, &arena, &wrong), name) &&
                CHECK_TEXT(text_string(&second), text_string(&first)) && CHECK(strlen(name) <= first.length);
    // Its long text has the same name: a name follows from the format, not from how it was written.
    fine = CHECK_TEXT(named(text_string(&first), &second, &arena, &wrong), name) && fine;
    if (!fine) printf("# of %s: %s\n", spelled, wrong.text);
  }
  text_free(&first);
  text_free(&second);
  arena_free(&arena);
  return name != NULL;
}

static void test_names_read_as_the_same_format(void) {
  int count = 0;
  unsigned turn = 0;
  for (size_t p = 0; p < LENGTH(patterns); p++)
    for (size_t r = 0; r < LENGTH(recipes); r++)
      for (size_t g = 0; g < LENGTH(grids); g++)
        for (size_t o = 0; o < LENGTH(options); o++) {
          char term[200], text[700];
          const char *plus = *patterns[p] && *grids[g] ? "+" : "";
          if (!*patterns[p] && !*grids[g]) continue;
          snprintf(term, sizeof term, "%s%s%s%s%s", recipes[r], patterns[p], plus, grids[g], options[o]);
          // Every term alone, and in one of the other places.
          snprintf(text, sizeof text, wholes[0], term);
          count += check_named(text);
          snprintf(text, sizeof text, wholes[1 + turn++ % (LENGTH(wholes) - 1)], term);
          count += check_named(text);
          if (check_failures > 10) return;
        }
  CHECK(count > 10000);
}

static void test_bits_and_presets(void) {
  static const char *const bits[] = {"w1", "w4a4", "a8", "w2a16g8", "w8a8g8", "w3a5g2"};
  static const char *const tails[] = {"",
                                      "[requantize]",
                                      "[layers(qkv)]",
                                      "[no-hadamard,ste]",
                                      "[original,ste]",
                                      "[token-hadamard]",
                                      "[tensor,absmax,ste,no-hadamard]"};
  int count = 0;
  char text[700];
  for (size_t t = 0; t < LENGTH(tails); t++) {
    for (size_t r = 0; r < LENGTH(recipes); r++)
      for (size_t b = 0; b < LENGTH(bits); b++) {
        snprintf(text, sizeof text, "%s%s%s", recipes[r], bits[b], tails[t]);
        count += check_named(text);
      }
    for (const struct format_preset *preset = format_presets; preset->name; preset++) {
      snprintf(text, sizeof text, "%s%s", preset->name, tails[t]);
      count += check_named(text);
    }
  }
  CHECK(count > 100);
}

int main(void) {
  RUN(test_names_read_as_the_same_format);
  RUN(test_bits_and_presets);
  return check_end();
}
