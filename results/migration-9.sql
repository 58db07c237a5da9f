-- From version 8: nothing.
SELECT 1;
