#!/bin/sh
# torch 2.13.0. A submodule wrapped by torch.compile that has run once ignores forward hooks that are registered on its
# layers afterwards: they are not called, and nothing says so. Before its first run, and under
# torch.compiler.set_stance("force_eager"), they are called. So a tool that reads activations by hooks gets fewer layers
# from a model that has already been evaluated than from the same model new.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/python" - > "$folder/seen" <<'PYTHON'
import torch


def network():
    body = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Tanh())
    return torch.nn.Sequential(torch.compile(body, backend="eager"), torch.nn.Linear(2, 2)).eval()


def calls(net):
    """How many of the two Linear layers a hook hears of."""
    heard = []
    linears = [module for module in net.modules() if isinstance(module, torch.nn.Linear)]
    hooks = [module.register_forward_hook(lambda *_: heard.append(1)) for module in linears]
    with torch.no_grad():
        net(torch.eye(3))
    for hook in hooks:
        hook.remove()
    return len(heard)


print("hooks before the first run:", calls(network()), "of 2")
used = network()
with torch.no_grad():
    used(torch.eye(3))
print("hooks after it:", calls(used), "of 2")
with torch.compiler.set_stance("force_eager"):
    print("hooks under force_eager:", calls(used), "of 2")
PYTHON
cat > "$folder/expected" <<'TEXT'
hooks before the first run: 2 of 2
hooks after it: 1 of 2
hooks under force_eager: 2 of 2
TEXT
cat "$folder/seen"
diff "$folder/expected" "$folder/seen"
