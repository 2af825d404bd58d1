"""Turn one network into another without changing a parameter: test-time form, generation, length."""

from __future__ import annotations

from dataclasses import fields, replace

from steps.nnet1.components import (
    Component,
    Generation,
    LstmProjected,
    LstmProjectedStreams,
    Network,
    TimeShift,
    Transmit,
)
from utils.cli import UserError


def to_test_time(network: Network, shift: int) -> Network:
    """Return the form in which a network of kaldi-lstm's trainer runs on whole utterances.

    The leading ``Transmit`` becomes a ``TimeShift`` by the delay of the targets, so that the posteriors
    come with their frames; every ``LstmProjectedStreams`` becomes an ``LstmProjected``. The tensors are
    shared with ``network``.

    Parameters
    ----------
    network : Network
        A network of the generation 2014.
    shift : int
        The ``--targets-delay`` that it was trained with, in frames.

    Raises
    ------
    UserError
        If the network is not one of kaldi-lstm's trainer: it has no ``LstmProjectedStreams`` or does not
        begin with a ``Transmit``.
    """
    if not any(isinstance(component, LstmProjectedStreams) for component in network.components):
        raise UserError("the network has no <LstmProjectedStreams>: there is nothing to convert to test time")
    first = network.components[0]
    if not isinstance(first, Transmit):
        raise UserError(
            f"expected the network to begin with <Transmit>, which takes the shift; got <{first.kind}>"
        )
    converted: list[Component] = [TimeShift(first.input_dim, first.output_dim, shift)]
    converted += [_projected(component) for component in network.components[1:]]
    return Network(converted, "2014")


def _projected(component: Component) -> Component:
    if not isinstance(component, LstmProjectedStreams):
        return component
    common = {item.name for item in fields(LstmProjected)}
    values = {item.name: getattr(component, item.name) for item in fields(component) if item.name in common}
    return LstmProjected(**values)


def to_generation(network: Network, generation: Generation) -> Network:
    """Return the network for the files of another generation; the writer refuses what these cannot hold."""
    return replace(network, generation=generation)


def without_components(network: Network, first: int, last: int) -> Network:
    """Return the network without its ``first`` leading and ``last`` trailing components.

    Raises
    ------
    UserError
        If no component would be left.
    """
    count = len(network.components)
    if first + last >= count:
        raise UserError(f"cannot remove {first} + {last} of {count} components: none would be left")
    return Network(network.components[first : count - last], network.generation)
