"""Small templates for make_golden.py, by what they try: syntax, scopes, white space, Python's values
and their methods, Jinja's filters and tests."""

VARIABLES = {
    "text": "Hello, World", "empty": "", "wide": "héllo ßİ😀 ǆ", "spaced": "  two  words\n\tx ",
    "lines": "a\n\n b\r\nc\u2028d\n", "quotes": "it's \"x\" <y> & z", "control": "\x07\x1b\u200b\ufeff\u00a0",
    "n": 3, "zero": 0, "minus": -7, "half": 2.5, "large": 1e20, "yes": True, "nothing": None,
    "numbers": [3, 1, 2], "words": ["b", "A", "c", "a"], "none_left": [],
    "table": {"b": 1, "a": [1, 2], "items": "own", "Z": None, "k": {"x": "y"}},
    "people": [{"name": "Ann", "age": 31, "tags": ["x"]}, {"name": "bob", "age": 7},
               {"name": "Cy", "age": 31, "tags": []}],
    "tools": "given",
}

SYNTAX = r"""
{{ 'a' "b" 'c' }}
{{ "\x41\u00e9\U0001F600\101\t|\q\é|" }}
{{ 'it''s' }}
{{ 1_000 + 0x1F + 0b11 + 0o17 }}
{{ 1.5e3 }} {{ 1e-7 }} {{ 1_0.5 }}
{{ .5 }}
{{ [1, 2,][1] }}{{ (1,)[0] }}{{ () | length }}{{ {'a': 1,}.a }}
{{ table . k . x }} {{ table['k']['x'] }} {{ people.0.name }} {{ people[0]['name'] }}
{{ -n ** 2 }} {{ 2 ** 3 ** 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 2 ** -1 }}
{{ 1 + 2 * 3 - 4 }} {{ (1 + 2) * 3 }} {{ 1 ~ 2 ~ 3 }} {{ 'a' ~ 1 ~ none ~ undef }}
{{ not yes or zero and n }} {{ zero or '' or [] }} {{ n and text }}
{{ 1 < 2 < 3 }} {{ 1 < n > 2 }} {{ 3 not in numbers }} {{ not 3 in numbers }}
{{ 'x' if zero else 'y' if empty else 'z' }} [{{ 'x' if zero }}]
{{ text[1:4] }} {{ text[::-1] }} {{ text[-3:] }} {{ wide[5:8] }} {{ numbers[:-1] }} {{ numbers[::2] }}
{{ text is string and n is not string }} {{ n is divisibleby 3 }} {{ n is eq 3 }}
{{ text|upper|replace('L', 'l') }} {{ -1|abs }} {{ (-1)|abs }}
{{ text.split(',')[0].lower() }} {{ 'a.b'.split('.')|last }}
{{ [1, 2] + [3] }} {{ (1, 2) + (3,) }} {{ 'ab' * 3 }} {{ [0] * 2 }}
{{ numbers[0], numbers[1] }}
{{ {1: 'a', true: 'b', 1.0: 'c'} }}
{% if n > 2 %}a{% elif n %}b{% else %}c{% endif %}
{% if zero: %}a{% else: %}b{% endif %}
{% for x in numbers %}{{ x }}{{ ',' if not loop.last }}{% endfor %}
{% for k, v in table.items() %}{{ k }}={{ v }};{% endfor %}
{% for (a, b), c in [((1, 2), 3)] %}{{ a }}{{ b }}{{ c }}{% endfor %}
{% for x in numbers if x > 1 %}{{ loop.index }}:{{ x }}/{{ loop.length }}{{ loop.nextitem }} {% else %}none{% endfor %}
{% for x in none_left %}{{ x }}{% else %}nothing{% endfor %}
{% for x in numbers %}{% break %}{% else %}else after break{% endfor %}
{% for x in numbers %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}
{% for x in words %}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.previtem }}{{ loop.nextitem }}{{ loop.cycle('o', 'e') }}{{ loop.depth }} {% endfor %}
{% for x in [1, 1, 2] %}{{ loop.changed(x) }}{% endfor %}
{% for x in [1, [2, [3]]] recursive %}{% if x is iterable %}({{ loop(x) }}){% else %}{{ x }}@{{ loop.depth0 }}{% endif %}{% endfor %}
{% for c in wide %}{{ c }}.{% endfor %}
{% for i in range(5, 0, -2) %}{{ i }}{% endfor %} {{ range(3) | list }} {{ range(2)[1] }}
{% for x in numbers | select('odd') %}{{ x }}{{ loop.last }}{% endfor %}
{% for x, y in [[1, 2], [3, 4]] if x %}{{ y }}{{ loop.previtem }}{% endfor %}
{% set a, b = 1, 2 %}{{ a }}{{ b }}
{% set x %}a {{ n }}{% endset %}{{ x | length }}
{% set x | upper | replace('A', 'b') %}a{% endset %}{{ x }}
{% set ns = namespace(a=1, b=[]) %}{% for x in numbers %}{% set ns.a = ns.a + x %}{% endfor %}{{ ns.a }}{{ ns.b }}{{ ns.c }}
{% set ns = namespace({'x': 1}, y=2) %}{{ ns.x }}{{ ns['y'] }}
{% set ns = namespace(_x=1) %}
{% set n.x = 1 %}
{% with a = 1, b = n %}{{ a }}{{ b }}{% endwith %}{{ a }}
{% filter upper | trim %} abc {% endfilter %}
{% macro m(a, b=2, c=a) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }} {{ m(1, c=3) }} {{ m() }} {{ m(b=0, a=5) }}
{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, x=3) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(b=2) }}
{% macro fact(i) %}{{ 1 if i < 2 else i * (fact(i - 1) | int) }}{% endmacro %}{{ fact(10) }}
{% macro outer(x) %}[{{ caller(x) }}]{% endmacro %}{% call(y) outer(3) %}{{ y }}{{ n }}{% endcall %}
{% macro m() %}{{ caller() }}{% endmacro %}{{ m() }}
{% macro m() %}{{ caller is defined }}{% endmacro %}{{ m() }}
{% macro m(x) %}{{ x }}{% endmacro %}{{ m(*[1]) }}{{ m(**{'x': 2}) }}
{% generation %}a{% set q = 1 %}{% endgeneration %}{{ q }}
{% raw %}{{ x }}{% endraw %}{# c #}
{%- for x in numbers -%} {{ x }} {%- endfor -%}
{{ undef.attribute }}
{{ undef }}[{{ undef | length }}]{{ undef is defined }}{{ undef == undef2 }}{{ 'a' in undef }}
{{ undef + 1 }}
{{ undef() }}
{{ text.nosuch }}[{{ table.nosuch }}]
{{ table.nosuch.more }}
{{ table['items'] }}{{ table.keys() | list }}{{ table.get('q', 5) }}{{ table.get('q') }}
{{ text.__class__ }}[{{ table.update }}]
{{ numbers.append(4) }}
{{ table.pop('a') }}
{{ raise_exception('no') }}
{{ 1 / 0 }}
{{ 'a' + 1 }}
{{ 1 < 'a' }}
{{ numbers.nosuch() }}
{{ text | nosuch }}
{{ text is nosuch }}
{{ text() }}
{{ table[[1]] }}[{{ numbers['a'] }}][{{ numbers[9] }}][{{ nothing.x }}]
{% nosuch %}
{% if n %}
{{ n
{# c
{{ (n] }}
{{ n ! }}
{{ true = 1 }}
{% break %}
{% for x in numbers %}{% macro m() %}{% break %}{% endmacro %}{% endfor %}
{% for x in n %}{% endfor %}
{% for a, b in numbers %}{% endfor %}
{% for a, b in [[1, 2, 3]] %}{% endfor %}
{{ "\x4" }}
{{ strftime_now('%Y-%m-%d %H:%M:%S %j %a %A %b %B %p %y %% %-d %z|%Z|%f') }}{{ strftime_now('') }}
{{ dict(a=1, b=2) }}{{ dict([('x', 1)]) }}
{{ range(200000) | length }}
"""

# A variable belongs where it is first set; and what is given under its name is hidden then.
SCOPES = r"""
{% for x in numbers %}{% set seen = x %}{% endfor %}{{ seen }}
{% set x = 1 %}{% for y in numbers %}{% set x = y %}{{ x }}{% endfor %}{{ x }}
{% if yes %}{% set x = 1 %}{% endif %}{{ x }}
{% for x in numbers %}{{ last }}{% set last = x %}{% endfor %}
{% set x = 1 %}{% for y in numbers %}{{ x }}{% set x = x + 1 %}{{ x }};{% endfor %}
{% macro m() %}{{ x }}{% endmacro %}{% set x = 1 %}{{ m() }}
{% macro m() %}{% set x = 2 %}{{ x }}{% endmacro %}{% set x = 1 %}{{ m() }}{{ x }}
{% for i in numbers %}{{ tools }}{% endfor %}{% set tools = 'own' %}{{ tools }}
{% for i in numbers %}{{ tools }}{% endfor %}{% if yes %}{% set tools = 'own' %}{% endif %}{{ tools }}
{{ tools }}{% for i in numbers %}{{ tools }}{% endfor %}{% set tools = 'own' %}
{% macro m() %}{{ tools }}{% endmacro %}{{ m() }}{% set tools = 'own' %}{{ m() }}
{% for i in numbers %}{% for j in [1] %}{{ tools }}{% endfor %}{% set tools = i %}{% endfor %}{{ tools }}
{% set tools = tools ~ '!' %}{{ tools }}
{% for x in numbers %}{% for y in words %}{{ loop.index }}{% endfor %}{{ loop.index }}{% endfor %}
{% for x in numbers %}{% for y in words if loop.first %}{{ y }}{% endfor %}{% endfor %}
{% set loop_var = namespace(seen=[]) %}{% for x in [1, 1, 2] if x not in loop_var.seen %}{% set loop_var.seen = loop_var.seen + [x] %}{{ x }}{% endfor %}
{% with tools = 1 %}{{ tools }}{% endwith %}{{ tools }}
{% set range = 5 %}{{ range }}
"""

# Behind each template, "$" is the end, so that white space there is seen.
SPACE = [before + tag + after for tag in ["{% if yes %}", "{%- if yes %}", "{%+ if yes -%}", "{% if yes +%}"]
         for before in ["", "x", " ", "\n ", "a \t", " \n\n"]
         for after in ["{% endif %}$", "\n{% endif %}\n$", " \n {%- endif %}$", "\r\n b\n {% endif %} \n$"]]
SPACE += [f"a \n {tag} \n b$" for tag in [
    "{# c #}", "{#- c #}", "{# c -#}", "{#+ c +#}", "{{ n }}", "{{- n }}", "{{ n -}}", "{{+ n }}",
    "{% raw %} \n x \n {% endraw %}", "{%- raw -%} \n x \n {%- endraw -%}",
    "{%+ raw %} \n x \n {%+ endraw +%}", "{% set q = 1 %}{% set r = 2 %}", "{# a #}{# b #}"]]
SPACE += ["a\n", "a\n\n", "\n", "a\r\nb\rc\n", "{{ 'a\r\nb' }}", "{% if yes %}\n\n  a{% endif %}", "x{{ n }}\n\n"]

VALUES = [
    "text", "wide", "spaced", "quotes", "control", "n", "minus", "half", "large", "yes", "nothing", "numbers",
    "words", "table", "people", "undef", "1e16", "123456789012345.6", "(0.1 + 0.2)", "1e15", "-0.0", "1e-5",
    "(2 ** 62)", "[[]]", "(1,)", "()", "{}", "{'a': {'b': [none, true, 1.0, 'x']}}", "range(3) | list",
    "table.keys()", "table.values()", "table.items()"]
PRINTED = [f"{{{{ {value} }}}}" for value in VALUES]
PRINTED += [f"{{{{ {value} | tojson{style} }}}}" for value in VALUES if value not in ("undef",)
            for style in ["", "(indent=2)", "(ensure_ascii=true, sort_keys=true)"]]
PRINTED += [f"{{{{ table | tojson({style}) }}}}" for style in [
    "true", "indent=0", "indent='\\t'", "separators=(',', ':')", "indent=1, separators=(' , ', ' : ')",
    "indent=none", "separators=none", "nosuch=1", "indent=-1"]]
PRINTED += [f"{{{{ {{{key}: 1}} | tojson }}}}" for key in ["1", "true", "none", "1.5", "'x'", "(1, 2)"]]

METHODS = [f"{{{{ {value}.{call} }}}}" for value in ["text", "wide", "spaced", "empty"] for call in [
    "upper()", "lower()", "title()", "capitalize()", "strip()", "lstrip()", "rstrip()", "strip('Hd ')",
    "split()", "split(',')", "split(' ')", "split(none, 1)", "split('l', 1)", "rsplit(none, 1)", "rsplit('l', 1)",
    "splitlines()", "splitlines(true)", "partition('o')", "rpartition('o')", "replace('l', 'LL')",
    "replace('l', '', 1)", "replace('', '-')", "startswith('H')", "startswith(('x', 'h'))", "endswith('d')",
    "find('o')", "find('o', 5)", "rfind('o')", "find('zz')", "count('l')", "count('')", "isalpha()", "isdigit()",
    "isspace()", "isupper()", "islower()", "istitle()", "isalnum()", "isascii()", "isdecimal()", "isnumeric()",
    "isprintable()", "zfill(15)", "center(21, '*')", "ljust(14) + '|'", "rjust(14)", "removeprefix('He')",
    "removesuffix('ld')", "join(words)", "index('zz')", "nosuch()"]]
METHODS += [
    "{{ '{} {}'.format(1, 2) }}", "{{ '{0}{x}{{}}'.format(1, x=2) }}",
    "{{ '{0[a][1]}{1.name!r}'.format(table, people[0]) }}", "{{ '{}'.format() }}",
    "{{ '%s=%d' % ('a', 3) }}", "{{ '%5.2f|%-5d|%05d|%+d|%x|%X|%o|%e|%g|%%' % (half, n, n, n, 255, 255, 8, half, large) }}",
    "{{ '%r %s' % (text, nothing) }}", "{{ '%(a)s' % {'a': 1} }}", "{{ '%s' % numbers }}", "{{ '%s %s' % n }}",
    "{{ '%d' % text }}", "{{ '%s' % (1, 2) }}", "{{ '%-6s|%6s|%.2s' % ('é', 'é', wide) }}", "{{ '%q' % 1 }}",
    "{{ numbers.index(2) }}{{ numbers.count(1) }}", "{{ numbers.index(9) }}", "{{ (1, 2, 1).count(1) }}",
    "{{ table.fromkeys(['a'], 1) }}", "{{ table.copy() == table }}", "{{ ''.join([1]) }}", "{{ ', '.join(words | map('upper')) }}"]

FILTERS = [f"{{{{ {value} | {call} }}}}" for value in ["text", "wide", "spaced", "numbers", "n", "half", "undef"]
           for call in ["upper", "lower", "title", "capitalize", "trim", "trim('H ')", "length", "first", "last", "list",
                        "string", "int", "float", "abs", "round", "round(1, 'floor')", "reverse | list", "sort",
                        "unique | list", "join('-')", "default('D')", "replace('l', 'L')", "center(16)", "wordcount",
                        "indent", "indent(2, true)", "indent('> ', blank=true)", "truncate(5)", "truncate(8, true, '~', 0)",
                        "escape", "safe", "urlencode", "batch(2) | list", "slice(2, 'f') | list", "max", "min", "sum",
                        "map('string') | list", "select | list", "tojson | safe", "format(1)"]]
FILTERS += [f"{{{{ people | {call} }}}}" for call in [
    "map(attribute='name') | join(', ')", "map(attribute='nosuch', default='?') | list", "map('length') | list",
    "selectattr('tags') | map(attribute='name') | list", "selectattr('age', 'gt', 10) | list | length",
    "rejectattr('age', 'equalto', 7) | map(attribute='age') | sum", "sort(attribute='age') | map(attribute='name') | list",
    "sort(attribute='age,name', reverse=true) | map(attribute='name') | list", "sum(attribute='age')",
    "max(attribute='age')", "min(attribute='name')", "unique(attribute='age') | map(attribute='name') | list",
    "map(attribute='tags.0') | list", "join(';', attribute='name')", "selectattr | list", "map | list", "sort"]]
FILTERS += [f"{{{{ table | {call} }}}}" for call in [
    "items | list", "dictsort", "dictsort(true)", "dictsort(by='value')", "list", "length", "first", "last", "join(',')",
    "sort", "map('upper') | list", "urlencode", "tojson"]]
FILTERS += [f"{{{{ '{value}' | int }}}},{{{{ '{value}' | float }}}}" for value in [
    "42", " 42 ", "-7", "+5", "1_000", "_1", "42.9", "1e3", "0x1f", "nan", "inf", "", "x", "1e", "--1", "4 2"]]
FILTERS += [
    "{{ '1f' | int(base=16) }}{{ '0x1f' | int(0, 16) }}{{ 'z' | int(7) }}{{ '0b11' | int(base=2) }}", "{{ none | int(5) }}",
    "{{ 2.675 | round(2) }} {{ 0.5 | round }} {{ 1.5 | round }} {{ 42.55 | round(1, 'ceil') }} {{ 7 | round }}",
    "{{ words | sort }}{{ words | sort(case_sensitive=true) }}{{ words | sort(reverse=true) }}", "{{ [1, 'a'] | sort }}",
    "{{ numbers | select('in', [1, 2]) | list }}{{ words | reject('lower') | list }}", "{{ numbers | select('nosuch') | list }}",
    "{{ words | map('replace', 'a', 'x') | list }}{{ numbers | map('default', 1) | list }}", "{{ words | map('nosuch') | list }}",
    "{{ empty | default('d') }}{{ empty | default('d', true) }}{{ nothing | d('e') }}{{ undef | d }}",
    "{% set g = numbers | map('string') %}{{ g | list }}{{ g | list }}{{ g | first }}",
    "{{ numbers | reverse | first }}{{ text | reverse }}{{ table | reverse | list }}", "{{ n | reverse }}",
    *[f"{{{{ {one} }}}}{{{{ ({one}) is escaped }}}}" for one in [
        "('<b>' | safe) + '<'", "'<' + ('<b>' | safe)", "('<' | e) + ('>' | safe)", "('<' | safe) * 2", "'&' * 2 | safe",
        "('<b' | safe)[1:]", "('<b' | safe).upper() + '<'", "(' <b ' | safe).strip() + '<'", "('<,b' | safe).split(',')",
        "('<b' | safe) | upper", "(' b ' | safe) | trim", "('a b' | safe) | title", "('x' | safe) | capitalize", "['<' | safe]",
        "('<' | safe) | list", "('<' | e) | string", "('<' | safe) | tojson", "('<' | safe) == '<'", "('a<' | safe).partition('<')",
        "('<' | safe) | replace('<', '&')", "['<', '<' | safe] | join('&')", "('a\\nb' | safe).splitlines()", "('5' | safe).zfill(3)"]],
    "{{ ('<b>' | safe) ~ '<' }}{{ quotes | e }}{{ quotes | e | string | length }}{{ ('<' | safe) is escaped }}",
    "{{ 'a b/ü&' | urlencode }}{{ {'a b': 'c/d', 'e': 1} | urlencode }}", "{{ '%s-%s' | format(1, 2) }}{{ '%(x)s' | format(x=3) }}",
    "{{ lines | indent(2) }}", "{{ lines.splitlines() }}", "{{ n | indent }}", "{{ 1 | length }}", "{{ n | list }}", "{{ n | tojson | length }}",
    "{{ [3, 1.0, true] | sort }}{{ [1, 2.5] | sum }}{{ [[1], [2]] | sum(start=[]) }}", "{{ ['a'] | sum }}"]

TESTS = [f"{{{{ {value} is {test} }}}}" for value in ["text", "n", "half", "yes", "nothing", "numbers", "table", "undef", "(1,)"]
         for test in ["defined", "undefined", "none", "string", "number", "integer", "float", "boolean", "true", "false", "mapping",
                      "sequence", "iterable", "callable", "escaped", "sameas none", "eq 3", "ne 3", "in [3, none]", "lower", "upper"]]
TESTS += [f"{{{{ n is {test} }}}}" for test in [
    "odd", "even", "divisibleby 2", "divisibleby(0)", "gt 2", "ge 3", "lt 3", "le 3", "greaterthan 5", "lessthan 4", "equalto(3)",
    "in 'abc'", "sameas 3", "== 3", "not in numbers"]]
TESTS += ["{{ table.keys is callable }}{{ table.keys is defined }}{{ table.keys is string }}", "{{ 'upper' is filter }}{{ 'x' is filter }}{{ 'odd' is test }}", "{{ numbers is in [[3, 1, 2]] }}",
          "{{ 1 == 1.0 }}{{ true == 1 }}{{ '1' == 1 }}{{ [1] == [1.0] }}{{ [1] == (1,) }}{{ {'a': 1} == {'a': 1.0} }}",
          "{{ 'a' < 'b' }}{{ [1, 2] < [1, 3] }}{{ 'B' < 'a' }}{{ 1 < 2.5 }}{{ true > 0 }}", "{{ [1] < ['a'] }}",
          "{{ 'ell' in text }}{{ 1 in numbers }}{{ 'a' in table }}", "{{ 1 in text }}", "{{ n in n }}", "{{ {} in [{}] }}", "{{ [] in table }}"]

SNIPPETS = (SYNTAX + SCOPES.lstrip("\n")).strip("\n").split("\n") + ["{{ 'a\\\nb' }}"]
SNIPPETS += SPACE + PRINTED + METHODS + FILTERS + TESTS
