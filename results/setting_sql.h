// How SQL reads a setting of a run r: from its configuration, by the setting's path.
#pragma once

#define SETTING(path) "json_extract(r.config, '$.\"" path "\"')"
