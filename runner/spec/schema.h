// What a spec may hold, for editors and for readers: derived from the table of run fields and from the tables of the
// keys of fit entries.
#pragma once
#include "base/base.h"

// The JSON Schema (draft 2020-12) of a whole spec. `laws` are the names of the laws that ship.
void schema_json(struct text *out, const char *const *laws, size_t law_count);
// The reference pages: every field; every quantity that expressions may name, and what tasks and stages report.
void schema_markdown(struct text *out);
void schema_quantities_markdown(struct text *out);
// The table of the keys of one kind of fit entry, as docs/spec.md has it.
struct entry_kind;
void schema_keys_markdown(const struct entry_kind *kind, struct text *out);
