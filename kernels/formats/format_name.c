// The shortest name of a format. A name is made from the struct: what the name would mean is put together by the same
// functions that the reader of texts calls, and compared with the format. Nothing is read back.
#include <string.h>

#include "kernels/formats/codebook.h"
#include "kernels/formats/grid.h"
#include "kernels/formats/parse.h"

static const char *long_text(const struct representation *representation, struct arena *arena) {
  struct text text = {0};
  representation_text(representation, &text);
  const char *copy = arena_string(arena, text_string(&text));
  text_free(&text);
  return copy;
}

// Whether `meant`, finished, is the representation of this long text.
static bool same_as(struct representation meant, enum operand operand, const char *long_text_wanted) {
  struct error error = {0};
  struct text text = {0};
  if (!representation_finish(&meant, operand, &error)) return false;
  representation_text(&meant, &text);
  bool same = strcmp(text_string(&text), long_text_wanted) == 0;
  text_free(&text);
  return same;
}

// A representation that is being named.
struct naming {
  const struct representation *representation;
  const char *long_text;
  bool full_sparsity;  // the sparsity's term has every option
  struct arena *arena;
};

// A name for its grid, before a recipe is chosen.
struct grid_name {
  const char *term;
  struct grid grid;
  int group;  // 0: rows or tensors
  enum scale_type type;
  bool zero;  // int4-zero-g32
};

// The names that its grid may have: its own term, that in groups, those of block formats.
static int grid_names(const struct naming *naming, struct grid_name names[4]) {
  const struct representation *representation = naming->representation;
  const struct grid *grid = &representation->grid;
  struct text term = {0};
  grid_term(representation, &term);
  const char *plain = arena_string(naming->arena, text_string(&term));
  text_free(&term);
  int count = 0, group = representation->scale.unit == SCALE_PER_GROUP ? representation->scale.group : 0;
  const struct codebook *book = codebook_of_grid(grid);
  if (book && book->group)  // its name alone has groups
    names[count++] = (struct grid_name){plain, *grid, book->group, SCALE_FLOAT};
  else
    names[count++] = (struct grid_name){plain, *grid, 0, SCALE_FLOAT};
  if (!group) return count;
  if (grid->kind == GRID_UNIFORM && grid->count != 3)  // ternary has no groups in its name
    names[count++] = (struct grid_name){arena_format(naming->arena, "%s-g%d", plain, group), *grid, group, SCALE_FLOAT};
  int bits = 1;
  while (1 << bits < grid->count) bits++;
  if (grid->kind == GRID_UNIFORM && grid->low == -(1 << (bits - 1)) && grid->count == 1 << bits)
    names[count++] = (struct grid_name){arena_format(naming->arena, "int%d-zero-g%d", bits, group), *grid, group,
                                        SCALE_FLOAT, .zero = true};
  for (const struct block_format *block = block_formats; block->name && count < 4; block++) {
    struct grid_name name = {block->name, block_grid(block), block->group, block->type};
    struct representation trial = {.grid = name.grid};
    term = (struct text){0};
    grid_term(&trial, &term);
    if (block->group == group && strcmp(text_string(&term), plain) == 0) names[count++] = name;
    text_free(&term);
  }
  return count;
}

// "RECIPE-SPARSITY+GRID" means the representation: `recipe` NULL for a name without one, `grid` without one.
static bool name_means(const struct naming *naming, const enum recipe *recipe, const struct grid_name *grid) {
  const struct sparsity *sparsity = &naming->representation->sparsity;
  struct representation meant = format_nothing.operands[OPERAND_WEIGHTS];
  if (sparsity->kind != SPARSITY_NONE)
    meant.sparsity =
        naming->full_sparsity ? *sparsity : sparsity_plain(sparsity->kind, sparsity->amount, sparsity->n, sparsity->m);
  int bits = 1;
  while (grid && 1 << bits < grid->grid.count) bits++;
  if (grid && grid->zero)
    recipe_of_zero_groups(&meant, bits, grid->group, recipe);
  else if (grid && grid->group)
    recipe_of_blocks(&meant, grid->grid, grid->group, grid->type, recipe);
  else if (grid)
    recipe_of_grid(&meant, grid->grid, recipe ? *recipe : RECIPE_QUEST);
  sparsity_untransformed(&meant);
  return same_as(meant, OPERAND_WEIGHTS, naming->long_text);
}

static const char *with_recipe(const struct naming *naming, const char *pattern, const struct grid_name *grid) {
  for (int i = -1; i < RECIPES; i++) {
    enum recipe recipe = (enum recipe)(i < 0 ? 0 : i);
    if (name_means(naming, i < 0 ? NULL : &recipe, grid))
      return arena_format(naming->arena, "%s%s%s%s%s", i < 0 ? "" : recipe_words[i], i < 0 ? "" : "-", pattern,
                          *pattern && grid ? "+" : "", grid ? grid->term : "");
  }
  return NULL;
}

// A name without options in brackets; NULL when it has none.
static const char *representation_short_name(const struct representation *representation, struct arena *arena) {
  struct naming naming = {representation, long_text(representation, arena), false, arena};
  struct grid_name grids[4];
  bool sparse = representation->sparsity.kind != SPARSITY_NONE, rounded = representation->grid.kind != GRID_NONE;
  int count = rounded ? grid_names(&naming, grids) : 1;
  const char *name = NULL;
  // Sparsity with its options left out first, then written out.
  for (int full = 0; full <= sparse && !name; full++) {
    struct text pattern = {0};
    if (sparse) sparsity_term(&representation->sparsity, full, &pattern);
    naming.full_sparsity = full;
    for (int i = 0; i < count && !name; i++)
      name = with_recipe(&naming, text_string(&pattern), rounded ? &grids[i] : NULL);
    text_free(&pattern);
  }
  return name;
}

static const char *preset_name(const char *long_text_wanted, struct arena *arena) {
  const char *name = NULL;
  for (const struct format_preset *preset = format_presets; preset->name && !name; preset++) {
    struct format meant;  // a preset is defined by a text
    struct error error = {0};
    struct text text = {0};
    if (format_parse_into(preset->text, &meant, arena, &error)) format_long_text(&meant, &text);
    if (strcmp(text_string(&text), long_text_wanted) == 0) name = preset->name;
    text_free(&text);
  }
  return name;
}

// "w4a4": integer grids of that many bits with one recipe for all operands. NULL when it is something else.
static const char *bits_name(const struct format *format, struct arena *arena) {
  const char *long_texts[OPERANDS], letters[] = "wag", *name = NULL;
  struct text bits = {0};
  int of_operand[OPERANDS] = {0};
  for (int i = 0; i < OPERANDS; i++) {
    const struct representation *operand = &format->operands[i];
    if (representation_is_none(operand)) continue;
    while (1 << of_operand[i] < operand->grid.count) of_operand[i]++;
    text_format(&bits, "%c%d", letters[i], of_operand[i]);
    long_texts[i] = long_text(operand, arena);
  }
  format_options_text(format, &bits);
  for (int recipe = 0; recipe < RECIPES && !name; recipe++) {
    bool same = true;
    for (int i = 0; i < OPERANDS && same; i++) {
      if (representation_is_none(&format->operands[i])) continue;
      struct representation meant = format_nothing.operands[i];
      same = format->operands[i].grid.kind == GRID_UNIFORM;
      if (same) recipe_of_grid(&meant, grid_mid_rise(of_operand[i]), (enum recipe)recipe);
      same = same && same_as(meant, (enum operand)i, long_texts[i]);
    }
    const char *word = recipe_words[recipe];
    if (same && recipe == RECIPE_QUEST)  // the usual one is not written
      name = arena_string(arena, text_string(&bits));
    else if (same)
      name = arena_format(arena, "%s-%s", word, text_string(&bits));
  }
  text_free(&bits);
  return name;
}

static bool is_preset(const char *name) {
  for (const struct format_preset *preset = format_presets; preset->name; preset++)
    if (strcmp(name, preset->name) == 0) return true;
  return false;
}

// Operand by operand. Weights alone need no letter, unless a preset has that name or a second pair of brackets follows.
static const char *operands_name(const struct format *format, struct arena *arena) {
  static const char letters[] = "wag";
  struct text text = {0}, options = {0};
  int present = 0;
  const char *last = "";
  bool plain = true;
  format_options_text(format, &options);
  for (int i = 0; i < OPERANDS; i++) {
    if (representation_is_none(&format->operands[i])) continue;
    const char *name = representation_short_name(&format->operands[i], arena);
    plain = name != NULL;
    last = name ? name : long_text(&format->operands[i], arena);
    text_format(&text, "%c(%s)", letters[i], last);
    present++;
  }
  bool weights_only = present == 1 && !representation_is_none(&format->operands[OPERAND_WEIGHTS]);
  if (weights_only && (plain || !options.length) && !(is_preset(last) && !options.length)) {
    text_clear(&text);
    text_add(&text, last);
  }
  text_add(&text, text_string(&options));
  const char *name = arena_string(arena, text_string(&text));
  text_free(&text);
  text_free(&options);
  return name;
}

// Recipes that have another name than before, and what they were called.
static const struct {
  const char *now, *before;
} renamed[] = {{"quartet-rtn", "quartet"},
               {"quartet", "quartet-sr"},
               {"quartet-code",  // had none
                "w(fp4-e2m1[rms,group(32),power-floor,nearest,hadamard-up-to(32),clip])"
                "a(fp4-e2m1[rms,group(32),power-floor,nearest,hadamard-up-to(32),clip])"
                "g(fp4-e2m1[absmax(1.3333333333333333),group(32),power-floor,stochastic,random-hadamard-up-to(32),ste])"
                "[requantize]"}};

static const char *bare_name(const struct format *format, struct arena *arena) {
  struct format bare = *format;
  bare.after = 0;
  return format_short_name(&bare, arena);
}

static const char *with_phase(const struct format *format, const char *name, struct arena *arena) {
  struct text text = {0};
  text_add(&text, name);
  format_phase_text(format, &text);
  const char *whole = arena_string(arena, text_string(&text));
  text_free(&text);
  return whole;
}

// The name with its beginning, all but a phase, replaced where it is one of `from`.
static const char *renamed_part(const char *name, bool back, struct arena *arena) {
  for (size_t i = 0; i < sizeof renamed / sizeof *renamed; i++) {
    const char *from = back ? renamed[i].now : renamed[i].before, *to = back ? renamed[i].before : renamed[i].now;
    size_t length = strlen(from);
    if (strncmp(name, from, length) == 0 && (!name[length] || starts_with(name + length, FORMAT_AFTER)))
      return arena_format(arena, "%s%s", to, name + length);
  }
  return name;
}

const char *format_identity(const char *name, struct arena *arena) { return renamed_part(name, true, arena); }
const char *format_renamed(const char *name, struct arena *arena) { return renamed_part(name, false, arena); }

static const char *phased_name(const struct format *format, struct arena *arena) {
  return with_phase(format, bare_name(format, arena), arena);
}

const struct format *format_from_start(const struct format *format, struct arena *arena) {
  if (!format || format->after <= 0) return format;
  struct format *bare = arena_alloc(arena, sizeof *bare);
  *bare = *format;
  bare->after = 0;
  bare->name = format_short_name(bare, arena);
  return bare;
}

const char *format_short_name(const struct format *format, struct arena *arena) {
  if (format_is_none(format)) return "none";
  if (format->after > 0) return phased_name(format, arena);
  struct text text = {0};
  format_long_text(format, &text);
  const char *full = arena_string(arena, text_string(&text)), *name = preset_name(full, arena);
  text_free(&text);
  if (!name) name = bits_name(format, arena);
  if (!name) name = operands_name(format, arena);
  // What nobody can write is not named, nor what could not be read.
  return format_objection(format) || strlen(name) > FORMAT_LONGEST ? full : name;
}
