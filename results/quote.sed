# Makes every line a C string literal.
s/[\\"]/\\&/g
s/.*/"&\\n"/
