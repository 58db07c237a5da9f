// See price.h.
#include "runner/plan/price.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/document.h"
#include "runner/spec/keys.h"

static bool read_file(const char *path, struct arena *arena, struct run_terms *terms, struct error *error) {
  struct diagnostics diagnostics = {0};
  if (!file_exists(path)) return true;
  const struct node *root = document_load(arena, path, &diagnostics, error);
  if (root && root->kind != NODE_MAPPING)
    node_error(root, &diagnostics, "price_per_hour: 2.5 EUR", "the file must be a mapping, not %s",
               node_kind_name(root));
  for (size_t i = 0; root && root->kind == NODE_MAPPING && i < root->count; i++) {
    const struct node *value = root->items[i];
    const char *key = root->keys[i]->text;
    if (strcmp(key, "price_per_hour") == 0 && value->kind == NODE_SCALAR &&
        spec_price(value->text, &terms->per_hour, &terms->currency))
      terms->from = path;
    else if (strcmp(key, "require_clean") != 0 || !node_boolean(value, &terms->require_clean))
      node_error(root->keys[i], &diagnostics, "price_per_hour: 2.5 EUR, require_clean: true",
                 "%.60s: not a setting of this file, or not a value of it", key);
  }
  diagnostics_tell(&diagnostics, error);
  bool fine = !error->code && diagnostics_check(&diagnostics, path, error) && root;
  diagnostics_free(&diagnostics);
  return fine;
}

bool run_terms_find(const struct spec *spec, struct arena *arena, struct run_terms *terms, struct error *error) {
  const char *config = getenv("XDG_CONFIG_HOME"), *user = getenv("HOME");
  const char *folder = config && *config ? config : path_join(arena, user ? user : "/", ".config");
  *terms = (struct run_terms){.per_hour = NAN, .currency = "", .from = ""};
  if (!read_file(path_join(arena, folder, "isoloss/run.yaml"), arena, terms, error)) return false;
  terms->require_clean = terms->require_clean || spec->require_clean;
  if (spec->price && spec_price(spec->price, &terms->per_hour, &terms->currency))
    terms->from = "price_per_hour of the spec";
  return true;
}

const char *run_terms_money(const struct run_terms *terms, double machine_seconds, struct arena *arena) {
  char price[32], space[2] = {*terms->currency ? ' ' : '\0', '\0'};
  if (isnan(terms->per_hour)) return NULL;
  double money = terms->per_hour * machine_seconds / 3600;
  // Cents, and of less than one two digits.
  const char *amount =
      money == 0 || money >= 0.01 ? arena_format(arena, "%.2f", money) : arena_format(arena, "%.2g", money);
  number_shortest(terms->per_hour, price);
  return arena_format(arena, "%s%s%s at %s%s%s an hour (%s)", amount, space, terms->currency, price, space,
                      terms->currency, terms->from);
}

void expenses_add(struct expenses *expenses, double machine_seconds, double joules, bool ended) {
  bool timed = isfinite(machine_seconds), metered = isfinite(joules);
  expenses->timed += timed;
  expenses->untimed += ended && !timed;
  expenses->metered += metered;
  if (timed) expenses->machine_seconds += machine_seconds;
  if (metered) expenses->joules += joules;
}

const char *expenses_words(const struct expenses *expenses, const struct run_terms *terms, struct arena *arena) {
  char time[32];
  struct text text = {0};
  const char *money = run_terms_money(terms, expenses->machine_seconds, arena);
  if (!expenses->timed || (!money && !expenses->metered)) return NULL;
  text_format(&text, "%s of machines at work, shared by the runs at work at a time",
              seconds_human(expenses->machine_seconds, time));
  if (money) text_format(&text, ": %s", money);
  if (expenses->untimed)
    text_format(&text, "; %zu ended run%s without a record of it left out", expenses->untimed,
                expenses->untimed == 1 ? "" : "s");
  if (expenses->metered)
    text_format(&text, "; %.3g kWh by the machines' counters, of %zu of %zu runs", expenses->joules / 3.6e6,
                expenses->metered, expenses->timed + expenses->untimed);
  const char *kept = arena_string(arena, text_string(&text));
  text_free(&text);
  return kept;
}
