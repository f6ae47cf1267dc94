"""tp_plans drawn at random: valid ones with up to three changes, and any strategy anywhere.

Left out are the errors that are so whatever a plan computes, and have tests of their own: a rule that
no module heeds, and a matrix without a rule beside others that have one.
"""
import itertools
import re

import reference_ranks as reference

COLWISE = ["colwise", "local_colwise"]
ROWWISE = ["rowwise", "local_rowwise"]
GATHERED = ["colwise_rep", "colwise_gather_output"]
SLICED = ["rowwise_rep", "rowwise_split_input"]
WHOLE = ["replicate", "replicated_with_grad_allreduce", "local"]
# Take a whole input and give, perhaps after a sum, a whole output.
WHOLE_TO_WHOLE = GATHERED + SLICED + WHOLE + ["sequence_parallel"]


def pattern_of(path):
    return re.sub(r"\.\d+\.", ".*.", path)


class PlanMaker:
    """Plans for one model; the random numbers are the caller's."""

    def __init__(self, model):
        self.parameters = model.modules()  # module -> names
        self.matrices = [m for m in self.parameters if not m.endswith("norm")]
        self.parents = sorted({"model"} | {".".join(parts[:n]) for m in self.parameters
                                          for parts in [m.split(".")]
                                          for n in (3, 4) if n < len(parts)})

    def make(self, rng, anything):
        """A plan as JSON has it: pattern -> strategy."""
        if anything:
            plan = {pattern_of(m): rng.choice(reference.OF_WEIGHTS) for m in self.parameters}
            self.change_parent(rng, plan)
        else:
            plan = self.valid(rng)
            for _ in range(rng.randrange(4)):
                change = rng.choice([self.change_one, self.change_one, self.change_group,
                                     self.change_layer, self.change_parent, self.change_bias,
                                     self.drop, self.spell])
                change(rng, plan)
        return self.tidy(plan)

    # ---- a valid plan

    def valid(self, rng):
        plan = {}

        def add(prefix, names, strategies):
            plan.update((f"{prefix}.{name}", strategy) for name, strategy in zip(names, strategies))

        attention = ["q_proj", "k_proj", "v_proj", "o_proj"]
        mlp = ["gate_proj", "up_proj", "down_proj"]
        for module, names in (("self_attn", attention), ("mlp", mlp)):
            prefix = f"model.layers.*.{module}"
            ins, style = len(names) - 1, rng.choice(["cut", "cut", "packed", "whole", "none"])
            if style == "cut":
                cut = rng.choice(COLWISE)
                add(prefix, names, [cut] * ins + [rng.choice(ROWWISE)])
            elif style == "packed":
                add(prefix, names, ["packed_colwise"] * ins +
                    [rng.choice(["packed_rowwise", "local_packed_rowwise"])])
            elif style == "whole":
                add(prefix, names, rng.choices(WHOLE_TO_WHOLE, k=ins + 1))
            if rng.random() < 0.2:
                plan[prefix] = rng.choice(reference.OF_MODULES)
        for norm in sorted(set(map(pattern_of, self.parameters)) - set(map(pattern_of, self.matrices))):
            if rng.random() < 0.3 and not norm.endswith(("q_norm", "k_norm")):
                plan[norm] = "sequence_parallel"
        if rng.random() < 0.7:
            plan["model.embed_tokens"] = rng.choice(["embedding_rowwise", "rowwise", "colwise_rep"])
        if rng.random() < 0.7:
            plan["lm_head"] = rng.choice(COLWISE + GATHERED + SLICED)
        return plan

    # ---- changes

    def change_one(self, rng, plan):
        plan[pattern_of(rng.choice(list(self.parameters)))] = rng.choice(reference.OF_WEIGHTS)

    def change_layer(self, rng, plan):
        """Of one layer only."""
        module = rng.choice([m for m in self.parameters if ".layers." in m])
        plan[module] = rng.choice(reference.OF_WEIGHTS)

    def change_group(self, rng, plan):
        prefix, names = rng.choice([("self_attn", "qkv"), ("self_attn", "kv"),
                                    ("mlp", ["gate", "up"])])
        strategy = rng.choice(reference.OF_WEIGHTS)
        for name in names:
            plan[f"model.layers.*.{prefix}.{name}_proj"] = strategy

    def change_parent(self, rng, plan):
        path = rng.choice(self.parents)
        plan[rng.choice([path, pattern_of(path + ".")[:-1]])] = rng.choice(reference.OF_MODULES)

    def change_bias(self, rng, plan):
        biased = [m for m, names in self.parameters.items() if "bias" in names]
        if biased:
            plan[pattern_of(rng.choice(biased)) + ".bias"] = rng.choice(reference.OF_WEIGHTS)

    def drop(self, rng, plan):
        """What is said of a module and of all in it."""
        path = pattern_of(rng.choice(self.parents + self.matrices) + ".")
        for key in [key for key in plan if (key + ".").startswith(path)]:
            del plan[key]

    def spell(self, rng, plan):
        """The same rule for the parameter, or without the base model's name."""
        keys = [key for key in plan if key.startswith("model.layers.*.") and key.endswith("_proj")]
        if keys:
            key = rng.choice(keys)
            strategy = plan.pop(key)
            plan[rng.choice([key + ".weight", key.removeprefix("model.")])] = strategy

    # ---- what no plan here has

    def tidy(self, plan):
        """Rules that nothing heeds go, matrices beside ruled ones get a rule."""
        while True:
            rules = reference.Plan(plan)
            heeded = set()
            for module, names in self.parameters.items():
                heeded |= {rules.key(f"{module}.{name}") or rules.key(module) for name in names}
                heeded.add(self.of_module(rules, module))
            heeded |= {self.of_module(rules, parent) for parent in self.parents}
            added = {pattern_of(m): "replicate" for m in self.lacking(rules)}
            if not added and set(plan) <= heeded:
                return plan
            plan = {key: strategy for key, strategy in plan.items() if key in heeded} | added

    @staticmethod
    def of_module(rules, path):
        key = rules.key(path)
        return key if key and reference.STRATEGIES[rules.rules[key]].module else None

    def lacking(self, rules):
        def parent(module):
            return module.rpartition(".")[0]

        for _, siblings in itertools.groupby(self.matrices_by_parent(), parent):
            siblings = list(siblings)
            bare = [m for m in siblings if not (rules.key(m + ".weight") or rules.key(m))]
            if parent(siblings[0]) and len(bare) < len(siblings):
                yield from bare

    def matrices_by_parent(self):
        return sorted(self.matrices, key=lambda m: m.rpartition(".")[0])
