// See claim_names.h.
#include "runner/fits/claim_names.h"

#include <string.h>

#include "fitting/fitting.h"
#include "runner/fits/categories.h"
#include "runner/spec/names.h"
#include "trainer/formats.h"

// Numbers that every fit has, as fit_claims finds them.
static const char *const numbers[] = {"holdout_error", "residual_rms", "objective"};
enum { NUMBERS = sizeof numbers / sizeof *numbers };

struct checking {
  const struct spec *spec;
  struct diagnostics *diagnostics;
  struct arena arena;
  struct law *laws;  // [spec->fit_count]
  struct plan_categories categories;
};

const char *claim_difference(struct arena *arena, const char *fit, const char *name) {
  if (!strchr(fit, '-') || !starts_with(fit, name)) return NULL;
  return arena_format(arena, "the name of fit %s reads as a difference: give it a `name:` without '-'", fit);
}

// ---- names ----

// What a fit has of a name, from the worst to the best.
enum has { HAS_NOTHING, HAS_OTHERWISE, HAS };

// Of a fit that is made by a column: the index says which of its fits, as alpha[w4a4].
static enum has has_by_value(struct checking *checking, const struct spec_fit *fit, const struct law *law,
                             const char *name, const char *index, const char **what, const char **hint) {
  struct arena *arena = &checking->arena;
  bool found = false, further = false;
  char shown[72];
  for (int i = 0; i < NUMBERS; i++) found |= strcmp(numbers[i], name) == 0;
  for (int i = 0; i < law->derived_count; i++)
    if (strcmp(law->derived[i].name, name) == 0) {
      found = true;
      further = law->derived[i].at != NULL;
    }
  for (int i = 0; i < law->parameter_count; i++)
    if (strcmp(law->parameters[i].name, name) == 0) {
      found = true;
      further = law->parameters[i].by != NULL;
    }
  if (!found) return HAS_NOTHING;
  const struct categories *categories = plan_categories_of(&checking->categories, fit->by);
  if (further) {
    *what = arena_format(arena,
                         "fit %s is made by %s, and %s has several values in each of its fits: a claim cannot "
                         "tell them apart",
                         fit->name, fit->by, name);
    *hint = "write an entry for one of its values, with a name and a where of its own";
    return HAS_OTHERWISE;
  }
  if (!index) {
    *what = arena_format(arena, "fit %s is made by %s: %s is of one of its values", fit->name, fit->by, name);
    *hint = arena_format(arena, "write %s[%s]", name, categories->count ? categories->names[0] : "VALUE");
    return HAS_OTHERWISE;
  }
  if (!categories->known || plan_category_known(categories, index)) return HAS;
  const char *near = plan_category_nearest(&checking->categories, categories, index);
  *what = arena_format(arena, "no run of this spec has the %s '%s'", fit->by, text_clipped(index, shown));
  if (near) *hint = arena_format(arena, "did you mean %s[\"%s\"]?", name, near);
  return HAS_OTHERWISE;
}

// With HAS_OTHERWISE, *what and *hint say what is wrong; they are in the arena.
static enum has has(struct checking *checking, const struct spec_fit *fit, const struct law *law, const char *name,
                    const char *index, const char **what, const char **hint) {
  struct arena *arena = &checking->arena;
  if (fit->by) return has_by_value(checking, fit, law, name, index, what, hint);
  for (int i = 0; i < NUMBERS && !index; i++)
    if (strcmp(numbers[i], name) == 0) return HAS;
  for (int i = 0; i < law->derived_count; i++) {
    const struct law_derived *derived = &law->derived[i];
    if (strcmp(derived->name, name) != 0) continue;
    if (!derived->at && !index) return HAS;
    *what = derived->at
                ? arena_format(arena, "%s has a value for each %s, which claims cannot tell apart", name, derived->at)
                : arena_format(arena, "%s is one number of the law %s: no [ ]", name, law->name);
    return HAS_OTHERWISE;
  }
  for (int i = 0; i < law->parameter_count; i++) {
    const struct law_parameter *parameter = &law->parameters[i];
    if (strcmp(parameter->name, name) != 0) continue;
    if (!parameter->by && !index) return HAS;
    if (!parameter->by || !index) {
      *what = parameter->by ? arena_format(arena, "%s has a value for each %s", name, parameter->by)
                            : arena_format(arena, "%s is one number of the law %s: no [ ]", name, law->name);
      *hint = parameter->by ? arena_format(arena, "write %s[...] with one of them in it", name) : NULL;
      return HAS_OTHERWISE;
    }
    const struct categories *categories = plan_categories_of(&checking->categories, parameter->by);
    for (size_t c = 0; c < categories->count; c++)
      if (strcmp(categories->names[c], index) == 0) return HAS;
    if (!categories->known) return HAS;
    const char *near = plan_category_nearest(&checking->categories, categories, index);
    char shown[72];
    *what = arena_format(arena, "no run of this spec has the %s '%s'", parameter->by, text_clipped(index, shown));
    if (near) *hint = arena_format(arena, "did you mean %s[\"%s\"]?", name, near);
    return HAS_OTHERWISE;
  }
  return HAS_NOTHING;
}

// The nearest of what the fits have and what runs have; of one law, where the name is asked of that.
static const char *nearest(struct checking *checking, const char *name, const struct law *only) {
  const char **names = NULL;
  size_t count = 0;
  for (size_t f = 0; f < checking->spec->fit_count; f++) {
    const struct law *law = &checking->laws[f];
    if (only && law != only) continue;
    names = arena_grow(&checking->arena, names, count, count + (size_t)(law->parameter_count + law->derived_count),
                       sizeof *names);
    for (int i = 0; i < law->parameter_count; i++) names[count++] = law->parameters[i].name;
    for (int i = 0; i < law->derived_count; i++) names[count++] = law->derived[i].name;
  }
  const char *near = nearest_name(name, names, count);
  if (!near) near = nearest_name(name, numbers, NUMBERS);
  return near || only ? near : run_name_nearest(checking->spec, name, true);
}

static const char *laws_of(struct checking *checking) {
  struct text list = {0};
  for (size_t f = 0; f < checking->spec->fit_count; f++)
    text_format(&list, "%s%s", f ? ", " : "", checking->spec->fits[f].name);
  const char *copy = arena_string(&checking->arena, text_string(&list));
  text_free(&list);
  return copy;
}

// A name that no fit has in any way.
static void unknown(struct checking *checking, const struct node *node, int offset, const char *name,
                    const struct spec_fit *fit, const struct law *law) {
  const char *hint = NULL, *near = nearest(checking, name, law);
  for (size_t f = 0; f < checking->spec->fit_count && !hint; f++)
    hint = claim_difference(&checking->arena, checking->spec->fits[f].name, name);
  if (!hint && near) hint = arena_format(&checking->arena, "did you mean '%s'?", near);
  if (fit)
    spec_error_at(checking->spec, node, offset, checking->diagnostics, hint,
                  "the law %s of fit %s has no coefficient and no derived quantity '%.60s'", law->name, fit->name,
                  name);
  else
    spec_error_at(
        checking->spec, node, offset, checking->diagnostics, hint,
        "no fit of this spec (%s) has a coefficient or a derived quantity '%.60s', and it is no column of runs",
        laws_of(checking), name);
}

// The name of a fit that it begins with, "chinchilla.alpha".
static bool begins_with(const char *name, const char *fit) {
  return starts_with(name, fit) && name[strlen(fit)] == '.';
}

static void check_name(struct checking *checking, const struct node *node, const struct expression_name *name) {
  const struct spec *spec = checking->spec;
  const char *what = NULL, *hint = NULL;
  size_t found = 0;
  for (size_t f = 0; f < spec->fit_count; f++) {
    if (!begins_with(name->name, spec->fits[f].name)) continue;
    size_t skip = strlen(spec->fits[f].name) + 1;
    enum has outcome = has(checking, &spec->fits[f], &checking->laws[f], name->name + skip, name->index, &what, &hint);
    if (outcome == HAS_OTHERWISE)
      spec_error_at(spec, node, name->offset, checking->diagnostics, hint, "%s", what);
    else if (outcome == HAS_NOTHING)
      unknown(checking, node, name->offset, name->name + skip, &spec->fits[f], &checking->laws[f]);
    return;
  }
  for (size_t f = 0; f < spec->fit_count; f++)
    found += has(checking, &spec->fits[f], &checking->laws[f], name->name, name->index, &what, &hint) == HAS;
  struct run_name ignored;
  bool of_runs = run_name_find(spec, name->name, &ignored) || run_result_known(spec, name->name);
  if (found > 1)
    spec_error_at(spec, node, name->offset, checking->diagnostics,
                  arena_format(&checking->arena, "write %s.%s", spec->fits[0].name, name->name),
                  "%zu fits (%s) have %s", found, laws_of(checking), name->name);
  else if (!found && !of_runs && what)
    spec_error_at(spec, node, name->offset, checking->diagnostics, hint, "%s", what);
  else if (!found && !of_runs)
    unknown(checking, node, name->offset, name->name, NULL, NULL);
}

void claims_check(const struct spec *spec, const struct plan *plan, struct diagnostics *diagnostics) {
  struct checking checking = {.spec = spec, .diagnostics = diagnostics, .categories = {.plan = plan}};
  if (!spec->claim_count || !spec->fit_count) return;
  checking.laws = arena_array(&checking.arena, spec->fit_count, sizeof *checking.laws);
  bool fine = true;
  for (size_t f = 0; f < spec->fit_count; f++) {
    struct diagnostics of_law = {0};  // told where the fits are checked; here it matters alone whether there are any
    struct error error = {0};
    fine = law_load(&checking.laws[f], spec->fits[f].law, &of_law, &error) && fine;
    diagnostics_free(&of_law);
  }
  for (size_t i = 0; i < spec->claim_count && fine; i++) {
    const struct expression *expression = spec->claims[i].expression;
    for (int k = 0; k < expression->name_count; k++) check_name(&checking, spec->claims[i].node, &expression->names[k]);
  }
  for (size_t f = 0; f < spec->fit_count; f++) law_free(&checking.laws[f]);
  plan_categories_free(&checking.categories);
  arena_free(&checking.arena);
}
