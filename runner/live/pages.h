// The page of `isoloss serve`, as text: "{{nonce}}" and "{{colours}}" stand for what each answer puts there.
#pragma once
extern const char live_page[];
