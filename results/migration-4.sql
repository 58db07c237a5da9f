-- From version 3: configurations name a thing in its one way, not as who trained a run first wrote it: formats as in
-- `canonical`, and "files" as the source where files were trained on. migrate.c then spells the paths of files.
UPDATE runs SET config = json_set(config, '$."format"', json_extract(canonical, '$."format"'))
WHERE json_valid(config) AND json_valid(canonical) AND json_extract(config, '$."format"') IS NOT NULL
  AND json_extract(canonical, '$."format"') IS NOT json_extract(config, '$."format"')
  AND json_extract(canonical, '$."format"') IS NOT NULL;
UPDATE runs SET config = json_set(config, '$."corpus.source"', 'files')
WHERE json_valid(config) AND json_extract(config, '$."corpus.files"') <> ''
  AND json_extract(config, '$."corpus.source"') = 'gcide';
