"""How soon clients are led to a successor: three nodes, who is asked for their health by whoever redirects, and nobody else tells."""

import contextlib
import random
import time

import figures
import servers
from figures import Row
from harness.vault import StandInVault
from publish import Watch
from scenarios import Bench


class Following(servers.HAProxy):
    """HAProxy, leading to whichever node its checks find up: they ask four times a second, ten times while a node changes."""

    def commands(self) -> list[list[object]]:
        bundle = self.directory / "bundle.pem"
        bundle.write_text(self.setting.chain.read_text() + self.setting.key.read_text())
        nodes = list(enumerate((self.setting.target, *self.setting.standbys)))
        rules = "\n".join(
            f"  http-request redirect prefix {origin} code 307 if {{ srv_is_up(vault/n{number}) }}"
            for number, origin in nodes)
        # One answer counts, either way; certificates are not verified, which spares it some work.
        checks = "\n".join(
            f"  server n{number} {origin.removeprefix('https://')} check ssl verify none"
            " inter 250 fastinter 100 rise 1 fall 1" for number, origin in nodes)
        path = self.fill("haproxy-following.cfg", bundle=bundle, rules=rules, checks=checks)
        return [["haproxy", "-db", "-f", path]]


class Failover:
    """From the moment when the old node denies and the new one affirms to the first redirect to the new one."""

    title = "failover between nodes"

    def run(self, bench: Bench) -> list[Row]:
        changes = bench.options.changes
        return [
            *self._flips(bench, "failover without a gap", 0, changes),
            *self._flips(bench, "failover with 2.5 s of nobody", 2.5, max(1, changes // 3))]

    def _flips(self, bench: Bench, title: str, gap: float, changes: int) -> list[Row]:
        certificates = bench.setting().certificates
        with contextlib.ExitStack() as stack:
            nodes = [stack.enter_context(StandInVault(certificates, status=429)) for _ in range(3)]
            nodes[0].status = 200
            setting = bench.setting(
                tls_only=True, target=nodes[0].origin, standbys=[node.origin for node in nodes[1:]])
            kinds = [
                kind for kind in bench.kinds() if issubclass(kind, (servers.Ours, servers.HAProxy))]
            running = [
                stack.enter_context((Following if kind is servers.HAProxy else kind)(setting))
                for kind in kinds]
            rows = {server: Row(title, server.name, "ms") for server in running}
            watches = {
                server: stack.enter_context(Watch(bench.clients, server.tls_port))
                for server in running}
            for watch in watches.values():
                watch.wait_for(nodes[0].origin)
            old = nodes[0]
            for number in range(changes):
                # All are at rest again, each somewhere between two questions.
                time.sleep(random.uniform(1, 1.6))
                new = random.choice([node for node in nodes if node is not old])
                old.status = 429
                if gap:
                    time.sleep(gap + random.uniform(0, 0.25))
                moment, new.status = time.monotonic(), 200
                for server, watch in watches.items():
                    rows[server].values.append((watch.wait_for(new.origin) - moment) * 1000)
                old = new
                figures.progress(f"{title}: {number + 1} of {changes}")
        slowest = [
            Row(f"slowest of {changes} such", row.server, "ms", [max(row.values)])
            for row in rows.values()]
        return [*rows.values(), *slowest]
