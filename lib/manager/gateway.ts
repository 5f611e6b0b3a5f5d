// A manager's door for peers: the listening socket, and the connections of those who were let in.

import type { Socket } from 'node:net';
import { describe } from '../describe.js';
import { AddressInUseError, type BosunError, ListenError } from '../errors.js';
import type { NativeDispatcher } from '../native.js';
import { ROLE } from '../wire/first-frame.js';
import type { ClosePolicy } from './close.js';
import { addressOf, type ListenAddress, Listener } from './listener.js';
import type { ManagerSettings } from './options.js';
import { Peers, type PeersOwner } from './peers.js';

export interface GatewayOwner extends PeersOwner {
  /** Peers can connect. */
  opened(): void;
  /** They never will. */
  failed(error: BosunError): void;
  /** A worker on another host has dialled; `rest` has arrived already. */
  joined(socket: Socket, rest: Buffer): void;
}

function refuseManager(socket: Socket, owner: GatewayOwner): void {
  const address = addressOf(socket);
  socket.destroy();
  owner.refused(address, 'it is a manager, and so is this');
}

export class Gateway {
  readonly peers: Peers;
  readonly #listener: Listener | undefined;
  #isOpen: boolean;
  #isClosing = false;

  /** Begins to listen, if there are settings for it. */
  constructor({ listen: settings, policy }: ManagerSettings, dispatcher: NativeDispatcher, owner: GatewayOwner) {
    this.peers = new Peers(dispatcher, policy, owner);
    this.#isOpen = settings === undefined;
    if (settings === undefined) return;
    this.#listener = new Listener(settings, {
      admit: (socket, rest, role) => {
        if (role === undefined) this.peers.admit(socket, rest);
        else if (role === ROLE.WORKER) owner.joined(socket, rest);
        else refuseManager(socket, owner);
      },
      refused: (address, reason) => owner.refused(address, reason),
    });
    void this.#open(this.#listener, owner);
  }

  /** True when peers can connect, or nobody wants them to. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  get address(): ListenAddress | undefined {
    return this.#listener?.address;
  }

  async #open(listener: Listener, owner: GatewayOwner): Promise<void> {
    try {
      await listener.open();
      this.#isOpen = true;
      owner.opened();
    } catch (error) {
      if (this.#isClosing) return;
      const text = `the manager cannot listen: ${describe(error)}`;
      owner.failed(error instanceof AddressInUseError ? error : new ListenError(text, { cause: error }));
    }
  }

  /** Nobody comes in any more, and all are asked to leave; those that run a task may take `grace` for it. */
  async stop(policy: ClosePolicy, grace: number): Promise<void> {
    this.#isClosing = true;
    await Promise.all([this.peers.stop(policy, grace), this.#listener?.close(grace)]);
  }
}
